import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { access, chmod, chown, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { until } from './until.ts';

const installations = '/usr/lib/postgresql';
/** The server refuses to be root; then it runs as the user of this number, who owns nothing else. */
const unprivilegedUser = 65_534;

/** Directory of a PostgreSQL server's programs, as Debian installs them; undefined where there is none. */
export async function postgresPrograms(): Promise<string | undefined> {
  const versions = await readdir(installations).catch(() => []);
  for (const version of versions.sort((a, b) => Number(b) - Number(a))) {
    const programs = path.join(installations, version, 'bin');
    const whole = await access(path.join(programs, 'initdb')).then(
      () => true,
      () => false,
    );
    if (whole) return programs;
  }
  return undefined;
}

/** A PostgreSQL server of the tests' own, on a socket in a directory of its own. */
export class PostgresServer {
  readonly #directory: string;
  readonly #programs: string;
  #process: ChildProcess | undefined;
  #databases = 0;

  private constructor(directory: string, programs: string) {
    this.#directory = directory;
    this.#programs = programs;
  }

  static async start(programs: string): Promise<PostgresServer> {
    const directory = await mkdtemp(path.join(tmpdir(), 'dormouse-postgres-'));
    await chmod(directory, 0o700);
    if (isRoot()) await chown(directory, unprivilegedUser, unprivilegedUser);
    const server = new PostgresServer(directory, programs);
    // A language whose order of text is not that of its bytes, as most servers have it.
    await server.#run('initdb', [
      '-D',
      path.join(directory, 'data'),
      '-U',
      'dormouse',
      '-A',
      'trust',
      ...unicode,
    ]);
    await server.begin();
    return server;
  }

  /** URL of a new, empty database. */
  async newDatabase(): Promise<string> {
    this.#databases += 1;
    const name = `exam${this.#databases}`;
    await this.#run('psql', [
      '-h',
      this.#directory,
      '-U',
      'dormouse',
      '-d',
      'postgres',
      '-c',
      `create database ${name}`,
    ]);
    return `postgres://dormouse@localhost/${name}?host=${encodeURIComponent(this.#directory)}`;
  }

  /** Starts it again after {@link kill}. */
  async begin(): Promise<void> {
    const data = path.join(this.#directory, 'data');
    const child = spawn(
      path.join(this.#programs, 'postgres'),
      ['-D', data, '-k', this.#directory, '-c', 'listen_addresses=', '-c', 'synchronous_commit=off'],
      { stdio: ['ignore', 'ignore', 'pipe'], ...identity() },
    );
    this.#process = child;
    child.stderr.resume();
    const ready = ['-h', this.#directory, '-U', 'dormouse', '-d', 'postgres', '-c', 'select 1'];
    await until('PostgreSQL takes connections', () =>
      this.#run('psql', ready).then(
        () => true,
        () => false,
      ),
    );
  }

  /** Ends it as a crash would. */
  async kill(): Promise<void> {
    await this.#end('SIGQUIT');
  }

  /** As {@link kill}, and returns before this process can have noticed: its connections look whole to it. */
  killUnnoticed(): void {
    const child = this.#process;
    if (child?.pid === undefined) return;
    this.#process = undefined;
    child.kill('SIGQUIT');
    // The last of its programs to end.
    while (!hasEnded(child.pid)) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
  }

  async stop(): Promise<void> {
    await this.#end('SIGINT');
    await rm(this.#directory, { recursive: true, force: true });
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#process;
    this.#process = undefined;
    if (child === undefined || child.exitCode !== null) return;
    const exited = once(child, 'exit');
    child.kill(signal);
    await exited;
  }

  async #run(program: string, options: readonly string[]): Promise<void> {
    await promisify(execFile)(path.join(this.#programs, program), options, { cwd: '/', ...identity() });
  }
}

const unicode = [
  '--locale-provider=icu',
  '--icu-locale=en',
  '--locale=C.UTF-8',
  '--encoding=UTF8',
  '--no-sync',
];

/** Whether only its exit status is left of a child, which is the event loop's to collect. */
function hasEnded(pid: number): boolean {
  return readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z ');
}

function isRoot(): boolean {
  return process.getuid?.() === 0;
}

function identity(): { readonly uid?: number; readonly gid?: number } {
  return isRoot() ? { uid: unprivilegedUser, gid: unprivilegedUser } : {};
}
