import { setTimeout as delay } from 'node:timers/promises';
import { CommanderError } from 'commander';
import { CannotRunError, describe, ExitStatus, exitCodes, UsageError } from './errors.ts';
import { note, style } from './output.ts';
import { createProgram } from './program.ts';

const flushPollMs = 5;

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
    if (error instanceof CannotRunError) return error.status;
    return error instanceof UsageError ? exitCodes.usage : exitCodes.failure;
  }
}

function endQuietlyWhenNobodyReads(error: NodeJS.ErrnoException): void {
  if (error.code === 'EPIPE') process.exit(exitCodes.ok);
  throw error;
}

/** Resolves once everything written has left. There is no event for that, and to write more may fail where all is read. */
async function flushed(stream: NodeJS.WriteStream): Promise<void> {
  while (stream.writableLength > 0) await delay(flushPollMs);
}

const status = await main();
await Promise.all([process.stdout, process.stderr].map(flushed));
// All is done and said. Left to itself Node may turn for ever around a socket whose peer was killed.
process.exit(status);
