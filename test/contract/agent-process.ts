import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const source = fileURLToPath(new URL('../../guest-agent', import.meta.url));

const slowDisk = fileURLToPath(new URL('slow-disk.c', import.meta.url));
const run = promisify(execFile);

/** The real agent, built with sanitizers, as an ordinary program on a Unix socket. */
export class AgentProcess {
  readonly #directory: string;
  readonly #child: ChildProcess;
  #errors = '';

  private constructor(directory: string, child: ChildProcess) {
    this.#directory = directory;
    this.#child = child;
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#errors += text;
    });
  }

  /** One whose disk takes as long to be written back as the test wants; see {@link releaseDisk}. */
  static async startWithSlowDisk(): Promise<AgentProcess> {
    return await AgentProcess.#start([], async (directory) => {
      const library = path.join(directory, 'slow-disk.so');
      const fifo = path.join(directory, 'slow-disk');
      await run('cc', ['-shared', '-fPIC', '-o', library, slowDisk]);
      await run('mkfifo', [fifo]);
      return { LD_PRELOAD: library, SLOW_DISK: fifo, ASAN_OPTIONS: 'verify_asan_link_order=0' };
    });
  }

  /** @param egressPort loopback port where it takes what would leave a guest */
  static async start(egressPort?: number): Promise<AgentProcess> {
    return await AgentProcess.#start(egressPort === undefined ? [] : [String(egressPort)], async () => ({}));
  }

  static async #start(
    words: readonly string[],
    environment: (directory: string) => Promise<Record<string, string>>,
  ): Promise<AgentProcess> {
    const directory = await mkdtemp(path.join(tmpdir(), 'dormouse-agent-'));
    const program = path.join(directory, 'agent');
    await run('make', ['-C', source, `OUT=${program}`, 'SANITIZE=1']);
    const child = spawn(program, ['--listen', path.join(directory, 'port'), ...words], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, ...(await environment(directory)) },
    });
    return new AgentProcess(directory, child);
  }

  /** A new connection to its channel; the agent serves one at a time. */
  async channel(): Promise<Socket> {
    for (;;) {
      const socket = connect(path.join(this.#directory, 'port'));
      try {
        await once(socket, 'connect');
        return socket;
      } catch (error) {
        if (this.#child.exitCode !== null) throw new Error(this.#errors, { cause: error });
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    }
  }

  /** Lets one write-back of the slow disk end, once it has begun. */
  async releaseDisk(): Promise<void> {
    await (await open(path.join(this.#directory, 'slow-disk'), 'w')).close();
  }

  /** Ends it; throws what a sanitizer had to say. */
  async stop(): Promise<void> {
    const ended = this.#child.exitCode === null ? once(this.#child, 'exit') : undefined;
    this.#child.kill();
    await ended;
    await rm(this.#directory, { recursive: true, force: true });
    if (/Sanitizer|runtime error/.test(this.#errors)) throw new Error(this.#errors);
  }
}
