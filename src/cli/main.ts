import { CommanderError } from 'commander';
import { describe, ExitStatus, exitCodes, UsageError } from './errors.ts';
import { note, style } from './output.ts';
import { createProgram } from './program.ts';

/** Runs one command line; resolves with the exit status. */
async function main(): Promise<number> {
  process.stdout.on('error', endQuietlyWhenNobodyReads);
  try {
    await createProgram().parseAsync();
    return exitCodes.ok;
  } catch (error) {
    // Commander has printed its own message.
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
    if (error instanceof ExitStatus) return error.status;
    const { message, hint } = describe(error);
    note(`${style('error:', 'red', process.stderr)} ${message}`);
    if (hint !== undefined) note(hint);
    if (process.env.DORMOUSE_DEBUG && error instanceof Error) note(error.stack ?? '');
    return error instanceof UsageError ? exitCodes.usage : exitCodes.failure;
  }
}

function endQuietlyWhenNobodyReads(error: NodeJS.ErrnoException): void {
  if (error.code === 'EPIPE') process.exit(exitCodes.ok);
  throw error;
}

process.exitCode = await main();
