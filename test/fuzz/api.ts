/**
 * Fuzzes the API: `node test/fuzz/api.ts --requests 100000 --seed 7`. Without a seed it picks one and names it.
 * Ends with 1, the seed and the least request that shows it when one is answered with a failure of ours, or never.
 */
import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import { startServer } from '../api/server.ts';
import { fuzz } from './wild-server.ts';

const progressEvery = 10_000;

const { values } = parseArgs({
  options: { requests: { type: 'string', default: '10000' }, seed: { type: 'string' } },
});
const requests = Number(values.requests);
const seed = Number(values.seed ?? randomInt(2 ** 31));
if (!Number.isSafeInteger(requests) || requests < 1 || !Number.isSafeInteger(seed)) {
  console.error('usage: node test/fuzz/api.ts [--requests N] [--seed N]');
  process.exit(2);
}

const server = await startServer('relaxed');
const started = performance.now();
let answered = 0;
console.log(`${requests} requests with seed ${seed}`);
try {
  const statuses = await fuzz(server, {
    requests,
    seed,
    onAnswer() {
      answered += 1;
      if (answered % progressEvery === 0) console.log(`${answered} answered`);
    },
  });
  const seconds = (performance.now() - started) / 1000;
  console.log(`all answered in ${seconds.toFixed(1)} s, none with a failure of the server`);
  for (const [status, count] of [...statuses].sort(([a], [b]) => a - b)) console.log(`${status}  ${count}`);
} catch (error) {
  console.error(error);
  process.exitCode = 1;
} finally {
  await server.close();
}
