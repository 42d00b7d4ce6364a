import type { Command } from 'commander';
import { examples } from '../remote-command.ts';

export function addDoctor(program: Command): void {
  const command = program
    .command('doctor')
    .description('check what the server needs on this machine, and say what to do about what is missing')
    .option('--json', 'print JSON instead of text');
  examples(command, 'dormouse doctor');
}
