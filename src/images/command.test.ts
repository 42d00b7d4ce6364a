import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runCommand } from './command.ts';

const mebibyte = 1024 * 1024;
const environment = { PATH: '/usr/bin:/bin' };
const { signal } = new AbortController();

test('a program that floods its output is read in short turns and at a rate, and to its end', async () => {
  let total = 0;
  let inTurn = 0;
  let most = 0;
  const begun = performance.now();
  const { code } = await runCommand(['sh', '-c', 'yes "" | head -c 25165824; yes "" | head -c 1000000 >&2'], {
    environment,
    signal,
    onOutput(_source, chunk) {
      total += chunk.length;
      if (inTurn === 0) {
        setImmediate(() => {
          inTurn = 0;
        });
      }
      inTurn += chunk.length;
      most = Math.max(most, inTurn);
    },
  });
  const seconds = (performance.now() - begun) / 1000;
  assert.equal(code, 0);
  assert.equal(total, 24 * mebibyte + 1_000_000);
  assert.ok(most <= mebibyte / 2, `${most} bytes in a turn`);
  assert.ok(total <= (8 + 1 + seconds * 32) * mebibyte, `${total} bytes in ${seconds} s`);
});

test('the end of a program and of its words are waited for, whatever they are', async () => {
  const said = await runCommand(['sh', '-c', 'echo out; echo err >&2; exit 3'], { environment, signal });
  assert.deepEqual(said, { code: 3, stdout: 'out\n', stderr: 'err\n' });
});
