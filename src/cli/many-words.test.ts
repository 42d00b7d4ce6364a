import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Command } from 'commander';
import { takeManyWords } from './many-words.ts';

test('a command takes more words than a call takes arguments', async () => {
  const program = takeManyWords(new Command('dormouse').enablePositionalOptions());
  let taken: readonly unknown[] = [];
  takeManyWords(program.command('exec'))
    .argument('<microvm>')
    .argument('<command...>')
    .option('-e, --env <variable>')
    .passThroughOptions()
    .action((microvm: string, words: readonly string[], { env }: { env: string }) => {
      taken = [microvm, env, words.length, words.at(-1)];
    });
  const words = Array.from({ length: 250_000 }, (_, index) => `-e${index}`);
  for (const between of [[], ['--']]) {
    await program.parseAsync(['exec', '-e', 'A=1', '3f2a', ...between, 'true'].concat(words), {
      from: 'user',
    });
    assert.deepEqual(taken, ['3f2a', 'A=1', 250_001 + between.length, '-e249999']);
  }
});
