import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StepTail } from './step-tail.ts';

function told(...chunks: readonly string[]): string | undefined {
  const tail = new StepTail();
  for (const chunk of chunks) tail.write(Buffer.from(chunk));
  return tail.describe();
}

test('the failing step and its last lines are named, without what came before', () => {
  const text = told(
    'STEP 1/3: FROM dormouse/debian:12\nSTEP 2/3: RUN make\nquiet\n',
    'STEP 3/3: RUN pip install nosuch\nLooking up nos',
    'uch\n\u001b[31mERROR: no matching distribution\u001b[0m\n',
    'error building at STEP "RUN pip install nosuch": exit status 1\n',
  );
  assert.equal(
    text,
    'Step 3 (RUN pip install nosuch) failed: Looking up nosuch | ERROR: no matching distribution',
  );
});

test('where the step itself says nothing, the builder does', () => {
  const text = told('STEP 2: COPY a b\nError: building at STEP "COPY a b": no such file\n');
  assert.equal(text, 'Step 2 (COPY a b) failed: Error: building at STEP "COPY a b": no such file');
  assert.equal(told(), undefined);
  assert.equal(told('Error: syntax error on line 3\n'), 'It ended with: Error: syntax error on line 3');
});

test('however much is said, little is kept', () => {
  const text = told('STEP 1: RUN yes\n', ...Array.from({ length: 50 }, () => 'y'.repeat(100_000)), '\n');
  assert.ok((text ?? '').length < 2000);
});

test('a step and its last words are found in any amount of output', () => {
  const tail = new StepTail();
  tail.write(
    Buffer.from(`STEP 1/3: FROM base\nSTEP 2/3: RUN make\n${'\n'.repeat(60_000)}some STEP 7: of it\n`),
  );
  tail.write(Buffer.from(`${'noise\n'.repeat(60_000)}and the `));
  tail.write(Buffer.from(`reason\n${'\n'.repeat(50)}`));
  const said = tail.describe() ?? '';
  assert.match(said, /^Step 2 \(RUN make\) failed: noise \|/);
  assert.match(said, /\| and the reason$/);
});

test('a character that comes in two chunks is one', () => {
  const tail = new StepTail();
  const bytes = Buffer.from('STEP 1: RUN x\nfehlt: für ☃\n');
  for (const byte of bytes) tail.write(Uint8Array.of(byte));
  assert.equal(tail.describe(), 'Step 1 (RUN x) failed: fehlt: für ☃');
});
