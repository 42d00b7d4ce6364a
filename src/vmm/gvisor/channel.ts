import { execFile } from 'node:child_process';
import fs, { constants } from 'node:fs';
import { rm } from 'node:fs/promises';
import { Socket } from 'node:net';
import path from 'node:path';
import { Duplex } from 'node:stream';
import { promisify } from 'node:util';
import { VmmError } from '../vmm.ts';
import { sandboxFiles } from './vm-files.ts';

const run = promisify(execFile);
const openDescriptor = promisify(fs.open);
const closeDescriptor = promisify(fs.close);

/*
 * The channel to the agent is two named pipes: any server can open them, one after another, and what the sandbox
 * holds of them are its standard input and output, which it gets anew at each restore. A third is its standard error,
 * whose end is the sandbox's.
 */

/** The sandbox's ends; to be closed once it has them. */
export interface ChannelEnds {
  readonly input: number;
  readonly output: number;
  readonly console: number;
  close(): Promise<void>;
}

/** Makes the pipes in `directory`, in the place of earlier ones, and opens the sandbox's ends. */
export async function makeChannel(directory: string): Promise<ChannelEnds> {
  const at = (name: string): string => path.join(directory, name);
  const pipes = [sandboxFiles.toGuest, sandboxFiles.fromGuest, sandboxFiles.console].map(at);
  await Promise.all(pipes.map((pipe) => rm(pipe, { force: true })));
  await run('mkfifo', ['--mode=600', ...pipes]);
  const opened: number[] = [];
  const open = async (name: string, side: number): Promise<number> => {
    const descriptor = await openOneSide(at(name), side);
    opened.push(descriptor);
    return descriptor;
  };
  const close = async (): Promise<void> => {
    await Promise.all(opened.splice(0).map((descriptor) => closeDescriptor(descriptor)));
  };
  try {
    return {
      input: await open(sandboxFiles.toGuest, constants.O_RDONLY),
      output: await open(sandboxFiles.fromGuest, constants.O_WRONLY),
      console: await open(sandboxFiles.console, constants.O_WRONLY),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** What the sandbox says from now on; ends when nothing of it is left. */
export async function openConsole(directory: string): Promise<Socket> {
  const fd = await openEnd(directory, sandboxFiles.console, constants.O_RDONLY);
  return new Socket({ fd, readable: true, writable: false });
}

/** A pipe whose other side nobody has cannot be opened for writing, and blocks who reads: both are there meanwhile. */
async function openOneSide(pipe: string, side: number): Promise<number> {
  const both = await openDescriptor(pipe, constants.O_RDWR | constants.O_NONBLOCK);
  try {
    return await openDescriptor(pipe, side | constants.O_NONBLOCK);
  } finally {
    await closeDescriptor(both);
  }
}

/**
 * Connects to the agent. What an earlier connection did not read is read by this one.
 * @throws {VmmError} no sandbox has the other ends
 */
export async function openChannel(directory: string): Promise<Duplex> {
  // Where nobody reads this fails, which tells that the sandbox is gone.
  const writing = await openEnd(directory, sandboxFiles.toGuest, constants.O_WRONLY);
  const reading = await openEnd(directory, sandboxFiles.fromGuest, constants.O_RDONLY).catch(
    async (error: unknown) => {
      await closeDescriptor(writing);
      throw error;
    },
  );
  return new Channel(
    new Socket({ fd: reading, readable: true, writable: false }),
    new Socket({ fd: writing, readable: false, writable: true }),
  );
}

async function openEnd(directory: string, name: string, side: number): Promise<number> {
  try {
    return await openDescriptor(path.join(directory, name), side | constants.O_NONBLOCK);
  } catch (error) {
    const gone =
      error instanceof Error && 'code' in error && ['ENXIO', 'ENOENT'].includes(String(error.code));
    throw gone ? new VmmError('the sandbox is gone', { cause: error }) : error;
  }
}

/** Two one-way pipes as one stream. */
class Channel extends Duplex {
  readonly #reading: Socket;
  readonly #writing: Socket;

  constructor(reading: Socket, writing: Socket) {
    super({ allowHalfOpen: false });
    this.#reading = reading;
    this.#writing = writing;
    reading.on('data', (chunk: Buffer) => {
      if (!this.push(chunk)) reading.pause();
    });
    reading.once('end', () => this.push(null));
    for (const side of [reading, writing]) {
      side.once('error', (error) => this.destroy(error));
      side.once('close', () => this.destroy());
    }
  }

  override _read(): void {
    this.#reading.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#writing.write(chunk, done);
  }

  override _writev(
    chunks: readonly { readonly chunk: Buffer }[],
    done: (error?: Error | null) => void,
  ): void {
    this.#writing.cork();
    const last = chunks.length - 1;
    chunks.forEach(({ chunk }, index) => {
      if (index === last) this.#writing.write(chunk, done);
      else this.#writing.write(chunk);
    });
    this.#writing.uncork();
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#writing.end(() => done());
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#reading.destroy();
    this.#writing.destroy();
    done(error);
  }

  ref(): this {
    this.#reading.ref();
    this.#writing.ref();
    return this;
  }

  unref(): this {
    this.#reading.unref();
    this.#writing.unref();
    return this;
  }
}
