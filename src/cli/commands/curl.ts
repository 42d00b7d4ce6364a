import { createReadStream } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import type { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { type Command, InvalidArgumentError } from 'commander';
import { collect, parseDuration, parsePort } from '../arguments.ts';
import type { Client } from '../client.ts';
import { CliError } from '../errors.ts';
import { resolveMicrovm } from '../identify.ts';
import { mintToken, sendToMicrovm } from '../microvm-request.ts';
import { printJson } from '../output.ts';
import { withProgress } from '../progress.ts';
import { examples, type RemoteOptions, remote, withClient } from '../remote-command.ts';

interface CurlOptions extends RemoteOptions {
  readonly request?: string;
  readonly data?: string;
  readonly header?: string[];
  readonly include?: true;
  readonly fail?: true;
  readonly port: number;
  readonly maxTime?: number;
}

const defaultPort = 8080;

export function addCurl(program: Command): void {
  const command = remote(program.command('curl'))
    .description('send an HTTPS request to a microVM; a sleeping one wakes for it')
    .argument('<microvm>', 'its id, or the start of it')
    .argument('[path]', 'path and query', '/')
    .option('-X, --request <method>', 'method (default: GET, or POST with data)')
    .option('-d, --data <data>', 'body; @file reads a file, @- standard input')
    .option('-H, --header <line>', 'header, may be repeated', parseHeader)
    .option('-i, --include', 'print status and headers too')
    .option('-f, --fail', 'exit with 1 for a status of 400 or above')
    .option('-p, --port <port>', 'port inside the microVM', parsePort, defaultPort)
    .option('-m, --max-time <duration>', 'give up after this long', parseDuration)
    .action(async (name: string, path: string, options: CurlOptions) => {
      await withClient(options, async (client) => await curl(client, name, path, options));
    });
  examples(
    command,
    'dormouse curl 3f2a',
    'dormouse curl 3f2a /items -d \'{"name":"a"}\' -H \'content-type: application/json\'',
    'dormouse curl 3f2a /events',
    'dormouse curl 3f2a --port 9000 /metrics -i',
  );
}

async function curl(client: Client, name: string, path: string, options: CurlOptions): Promise<void> {
  const microvm = await resolveMicrovm(client, name);
  const id = microvm.microvmId ?? '';
  const token = await mintToken(client, id, options.port);
  const response = await withProgress(`waiting for ${id}`, async () =>
    sendToMicrovm(client, {
      endpoint: microvm.endpoint ?? '',
      token,
      port: options.port,
      method: options.request ?? (options.data === undefined ? 'GET' : 'POST'),
      path: path.startsWith('/') ? path : `/${path}`,
      headers: headersOf(options),
      body: options.data === undefined ? undefined : bodyOf(options.data),
      timeout: options.maxTime === undefined ? undefined : options.maxTime * 1000,
    }),
  );
  if (options.json) await printAsJson(response);
  else await printBody(response, options.include === true);
  const status = response.statusCode ?? 0;
  if (options.fail && status >= 400) throw new CliError(`The microVM answered ${status}.`);
}

async function printBody(response: IncomingMessage, include: boolean): Promise<void> {
  if (include) {
    const lines = [`HTTP/${response.httpVersion} ${response.statusCode} ${response.statusMessage}`];
    for (let index = 0; index < response.rawHeaders.length; index += 2) {
      lines.push(`${response.rawHeaders[index]}: ${response.rawHeaders[index + 1]}`);
    }
    process.stdout.write(`${lines.join('\r\n')}\r\n\r\n`);
  }
  await pipeline(response, process.stdout, { end: false });
}

async function printAsJson(response: IncomingMessage): Promise<void> {
  const body = await buffer(response);
  printJson({ status: response.statusCode, headers: response.headers, body: body.toString('utf8') });
}

function headersOf(options: CurlOptions): Record<string, string[]> {
  const headers: Record<string, string[]> = {};
  for (const line of options.header ?? []) {
    const mark = line.indexOf(':');
    const name = line.slice(0, mark).trim().toLowerCase();
    headers[name] = [...(headers[name] ?? []), line.slice(mark + 1).trim()];
  }
  if (options.data !== undefined) headers['content-type'] ??= ['application/x-www-form-urlencoded'];
  return headers;
}

function bodyOf(data: string): string | Readable {
  if (data === '@-') return process.stdin;
  return data.startsWith('@') ? createReadStream(data.slice(1)) : data;
}

function parseHeader(line: string, earlier: readonly string[] | undefined): string[] {
  if (line.indexOf(':') < 1) throw new InvalidArgumentError('Expected NAME: VALUE.');
  return collect(line, earlier);
}
