import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { after, before, test } from 'node:test';
import { signRequest } from '../../src/api/sigv4/sign.ts';
import { raw } from './raw.ts';
import { credentials, realm, startServer, type TestServer } from './server.ts';

const imageArn = `arn:aws:lambda:${realm.region}:${realm.accountId}:microvm-image:web`;
const eventsPath = '/dormouse/v1/events';

let server: TestServer;

before(async () => {
  server = await startServer('relaxed');
});

after(async () => {
  await server.close();
  assert.deepEqual(server.faults, []);
});

async function emit(microvmId: string, ...states: readonly string[]): Promise<void> {
  for (const to of states) {
    const change = { microvmId, imageArn, imageVersion: '1.0', buildId: null, from: null, reason: null };
    await server.events.transaction((_transaction, tell) =>
      tell(1_764_000_000_250, { subject: 'microvm', ...change, to }),
    );
  }
}

function signed(query: string): { readonly url: URL; readonly headers: Record<string, string> } {
  const url = new URL(`${server.url}${eventsPath}?${query}`);
  const headers = signRequest(
    { method: 'GET', url },
    { credentials, region: realm.region, service: 'lambda' },
  );
  return { url, headers };
}

/** Messages of a stream, as long as anybody asks. */
async function* follow(query: string, extra: Record<string, string> = {}): AsyncGenerator<string> {
  const { url, headers } = signed(query);
  const leave = new AbortController();
  const response = await fetch(url, { headers: { ...headers, ...extra }, signal: leave.signal });
  assert.equal(response.headers.get('content-type'), 'text/event-stream');
  assert(response.body !== null);
  let text = '';
  try {
    for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
      text += chunk;
      const messages = text.split('\n\n');
      text = messages.pop() ?? '';
      yield* messages;
    }
  } finally {
    leave.abort();
  }
}

function statesIn(messages: string): readonly string[] {
  return [...messages.matchAll(/"to":"(\w+)"/g)].map(([, state = '']) => state);
}

test('tells what is kept, whole and filtered, and ends there when nobody wants to wait', async () => {
  await emit('microvm-a', 'PENDING', 'RUNNING');
  await emit('microvm-b', 'PENDING');
  const all = await raw(server, 'GET', `${eventsPath}?after=0&follow=0`);
  assert.equal(all.status, 200);
  const [first = ''] = all.text.split('\n\n');
  assert.deepEqual(first.split('\n'), [
    'id: 1',
    `data: {"sequence":1,"time":1764000000.25,"type":"microvm.pending","microvmId":"microvm-a","imageArn":"${imageArn}",` +
      '"imageVersion":"1.0","buildId":null,"from":null,"to":"PENDING","reason":null}',
  ]);
  assert.deepEqual(statesIn(all.text), ['PENDING', 'RUNNING', 'PENDING']);
  assert.match(all.text, /id: 3\n\n$/);
  const filtered = async (query: string) =>
    statesIn((await raw(server, 'GET', `${eventsPath}?after=0&follow=0&${query}`)).text);
  assert.deepEqual(await filtered('microvmId=microvm-b'), ['PENDING']);
  assert.deepEqual(await filtered('type=microvm.running&type=image.%2A'), ['RUNNING']);
  assert.deepEqual(await filtered('imageArn=arn%3Aother'), []);
  assert.deepEqual(await filtered('type=microvm.%2A&microvmId=microvm-a'), ['PENDING', 'RUNNING']);
});

test('starts with what comes next, and goes on where a client was cut off', async () => {
  const live = follow('');
  assert.match((await live.next()).value ?? '', /^id: \d+$/);
  await emit('microvm-c', 'RUNNING');
  const { value: message = '' } = await live.next();
  assert.deepEqual(statesIn(message), ['RUNNING']);
  await live.return(undefined);
  await emit('microvm-c', 'SUSPENDING', 'SUSPENDED');
  const id = /^id: (\d+)/.exec(message)?.[1] ?? '';
  const again = follow('after=0', { 'last-event-id': id });
  assert.deepEqual(statesIn((await again.next()).value ?? ''), ['SUSPENDING']);
  assert.deepEqual(statesIn((await again.next()).value ?? ''), ['SUSPENDED']);
  await again.return(undefined);
});

test('says so when events are not kept any more, or the place is of another server', async () => {
  await emit('microvm-d', 'PENDING', 'RUNNING');
  await server.events.prune({ count: 1, since: 0 });
  const newest = await server.events.newest();
  const late = await raw(server, 'GET', `${eventsPath}?after=1&follow=0`);
  assert.match(
    late.text,
    new RegExp(`^event: gap\\ndata: \\{"after":1,"next":${newest}\\}\\n\\nid: ${newest}\\n`),
  );
  const foreign = await raw(server, 'GET', `${eventsPath}?after=${newest + 50}&follow=0`);
  assert.match(foreign.text, /^event: gap\n/);
  assert.deepEqual(statesIn(foreign.text), ['RUNNING']);
  assert.doesNotMatch((await raw(server, 'GET', `${eventsPath}?after=0&follow=0`)).text, /gap/);
});

test('a reader that does not read holds nobody up', async () => {
  const { url, headers } = signed('after=0');
  const lazy = net.connect(Number(url.port), url.hostname);
  await once(lazy, 'connect');
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
  lazy.pause();
  lazy.write(
    `GET ${url.pathname}${url.search} HTTP/1.1\r\nhost: ${url.host}\r\n${lines.join('\r\n')}\r\n\r\n`,
  );
  const reader = follow('');
  await reader.next();
  const many = 2000;
  await emit('microvm-e', ...Array.from({ length: many }, () => 'RUNNING'));
  let seen = 0;
  for await (const message of reader) {
    seen += statesIn(message).length;
    if (seen === many) break;
  }
  assert.equal(seen, many);
  lazy.destroy();
});

test('there is an end to the number of readers', async () => {
  const readers = Array.from({ length: 100 }, () => follow(''));
  await Promise.all(readers.map((reader) => reader.next()));
  const refused = await raw(server, 'GET', eventsPath);
  assert.equal(refused.status, 429);
  assert.equal(refused.headers.get('retry-after'), '5');
  await Promise.all(readers.map((reader) => reader.return(undefined)));
  let status = 429;
  while (status === 429) ({ status } = await raw(server, 'GET', `${eventsPath}?follow=0`));
  assert.equal(status, 200);
});

test('webhooks are made, listed and deleted', async () => {
  const webhooks = '/dormouse/v1/webhooks';
  const body = { url: 'http://127.0.0.1:1/', types: ['microvm.*'], imageArn };
  const created = await raw(server, 'POST', webhooks, body);
  assert.equal(created.status, 201);
  const { secret, webhookId, ...rest } = created.json as Record<string, unknown>;
  assert.match(String(secret), /^whsec_[\w-]{43}$/);
  assert.deepEqual(Object.keys(rest).sort(), [
    'attempts',
    'behind',
    'createdAt',
    'deadAt',
    'delivered',
    'failingSince',
    'imageArn',
    'lastDeliveredAt',
    'lastError',
    'microvmId',
    'missed',
    'position',
    'state',
    'types',
    'url',
  ]);
  const listed = (await raw(server, 'GET', webhooks)).json as { webhooks: Record<string, unknown>[] };
  assert.deepEqual(listed.webhooks, [{ ...rest, webhookId }]);
  assert.equal((await raw(server, 'POST', `${webhooks}/${webhookId}/resume`)).status, 200);
  assert.equal((await raw(server, 'DELETE', `${webhooks}/${webhookId}`)).status, 204);
  assert.equal((await raw(server, 'DELETE', `${webhooks}/${webhookId}`)).status, 404);
  const refused = await raw(server, 'POST', webhooks, { url: 'file:///etc/passwd' });
  assert.deepEqual(refused.json, { message: 'Invalid webhook URL: it must start with http:// or https://' });
  assert.equal((await raw(server, 'POST', webhooks, { url: 'http://a/', types: [] })).status, 400);
});
