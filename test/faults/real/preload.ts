/*
 * Loaded into a real server ahead of everything else (`NODE_OPTIONS=--import`): all of the process becomes the server
 * whose steps the seam counts. Over a Unix socket it is told at which of them it kills itself, or the VMMs of its data
 * directory, with SIGKILL. The command line's other commands have nothing to do with it.
 */
import '../seam/register.ts';
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { type Fault, ServerProcess } from '../server-process.ts';
import { type Command, environment, type Report, struckFile } from './control.ts';

const socket = process.env[environment.socket];
const dataDirectory = process.env[environment.dataDirectory];
// What the server starts is not meant.
delete process.env.NODE_OPTIONS;

/** The process ids of all VMMs that work for a data directory, found at once: nothing may happen meanwhile. */
function machinesOf(directory: string): readonly number[] {
  return readdirSync('/proc').flatMap((entry) => {
    if (!/^\d+$/.test(entry)) return [];
    try {
      const [program = '', ...words] = readFileSync(`/proc/${entry}/cmdline`, 'utf8').split('\0');
      const ours = /(qemu-system-\w+|vmm-jail)$/.test(program) && words.join(' ').includes(directory);
      return ours ? [Number(entry)] : [];
    } catch {
      return [];
    }
  });
}

let killed = 0;

function killMachinesOf(directory: string): void {
  for (const pid of machinesOf(directory)) {
    process.kill(pid, 'SIGKILL');
    killed += 1;
  }
}

function faultOf({ kill, at }: Command, directory: string): Fault {
  switch (kill) {
    case 'nothing':
      return { type: 'none' };
    case 'server':
      return { type: 'crash', at };
    case 'machines':
      return { type: 'kill-machines', at, kill: async () => killMachinesOf(directory) };
  }
}

if (process.argv[2] === 'serve' && socket !== undefined && dataDirectory !== undefined) {
  const server = new ServerProcess(dataDirectory);
  server.becomeThisProcess();
  // First of what a crash does, and there is nothing after it.
  server.onCrash(() => {
    writeFileSync(struckFile(socket), server.struck?.name ?? '');
    process.kill(process.pid, 'SIGKILL');
  });
  rmSync(socket, { force: true });
  const control = createServer((connection) => {
    // So few bytes come at once.
    connection.once('data', (line) => {
      const report: Report = { struck: server.struck?.name, steps: server.steps.length, killed };
      killed = 0;
      server.plan(faultOf(JSON.parse(line.toString()) as Command, dataDirectory));
      connection.end(JSON.stringify(report));
    });
  });
  control.listen(socket);
  control.unref();
}
