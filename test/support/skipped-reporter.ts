import type { TestEvent } from 'node:test/reporters';

/** Names what was not run, with its reason, so that a green result cannot hide it. */
export default async function* reportSkipped(events: AsyncIterable<TestEvent>): AsyncIterable<string> {
  const skipped: string[] = [];
  for await (const event of events) {
    if (event.type !== 'test:pass' || event.data.skip === undefined || event.data.skip === false) continue;
    const reason = typeof event.data.skip === 'string' ? `: ${event.data.skip}` : '';
    skipped.push(`  ${event.data.name}${reason}`);
  }
  if (skipped.length > 0) yield `\nskipped here:\n${skipped.join('\n')}\n`;
}
