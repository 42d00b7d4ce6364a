import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, readFile, writeFile } from 'node:fs/promises';
import net from 'node:net';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { ServerReady, ServerSettings } from './server.ts';

/** A party of the benchmark in its own processes. */
export interface Party {
  readonly ready: ServerReady;
  /** Seconds of CPU time used so far, by the process and its children. */
  cpuSeconds(): Promise<number>;
  /** Memory in use, of the process and its children. */
  residentBytes(): Promise<number>;
  stop(): Promise<void>;
}

/** As bin/dormouse starts the server. */
const serverFlags = [
  '--no-allocation-site-pretenuring',
  '--max-semi-space-size=4',
  '--initial-old-space-size=128',
];

export async function startNode(role: string, settings?: ServerSettings): Promise<Party> {
  const script = fileURLToPath(new URL('./server.ts', import.meta.url));
  const flags = role === 'passthrough' || role === 'upstream' ? [] : serverFlags;
  const child = spawn(process.execPath, [...flags, script, role, JSON.stringify(settings ?? {})], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = await once(createInterface({ input: child.stdout }), 'line');
  return party(child, JSON.parse(String(line)));
}

/** nginx as a TLS proxy, or undefined where it is not installed. */
export async function startNginx(settings: ServerSettings, workers = 1): Promise<Party | undefined> {
  const binary = await firstExisting(['/usr/sbin/nginx', '/usr/local/sbin/nginx', '/usr/bin/nginx']);
  if (binary === undefined) return undefined;
  const port = await freePort();
  const file = path.join(settings.directory, 'nginx.conf');
  await writeFile(
    file,
    `daemon off; worker_processes ${workers}; pid ${settings.directory}/nginx.pid; error_log stderr crit;
events { worker_connections 32768; }
http {
  access_log off; keepalive_requests 100000000; client_max_body_size 0;
  client_body_temp_path ${settings.directory}; proxy_temp_path ${settings.directory};
  map $http_upgrade $connection_upgrade { default upgrade; '' ''; }
  upstream app { server 127.0.0.1:${settings.upstreamPort}; keepalive 64; keepalive_requests 100000000; }
  server {
    listen 127.0.0.1:${port} ssl http2 reuseport;
    ssl_certificate ${settings.directory}/endpoint.pem;
    ssl_certificate_key ${settings.directory}/endpoint.key;
    location / {
      proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Host $host;
      proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $connection_upgrade;
      proxy_request_buffering off; proxy_max_temp_file_size 0;
    }
  }
}
`,
  );
  // As many open files as the user may have, which Node takes by itself.
  const child = spawn(
    '/bin/sh',
    ['-c', 'ulimit -n "$(ulimit -H -n)"; exec "$@"', 'sh', binary, '-c', file, '-e', 'stderr'],
    { stdio: ['ignore', 'ignore', 'inherit'] },
  );
  await untilListening(port);
  return party(child, { port });
}

function party(child: ChildProcess, ready: ServerReady): Party {
  const pid = child.pid ?? 0;
  const ended = once(child, 'exit');
  return {
    ready,
    cpuSeconds: () => cpuSecondsOf(pid),
    residentBytes: () => residentBytesOf(pid),
    async stop() {
      child.kill('SIGTERM');
      await ended;
    },
  };
}

async function cpuSecondsOf(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  // The name in parentheses may hold anything; fields count from behind it.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const own = (Number(fields[11]) + Number(fields[12])) / 100;
  const theirs = await Promise.all((await childrenOf(pid)).map(cpuSecondsOf));
  return theirs.reduce((sum, seconds) => sum + seconds, own);
}

async function residentBytesOf(pid: number): Promise<number> {
  const pages = (await readFile(`/proc/${pid}/statm`, 'utf8')).split(' ')[1];
  const theirs = await Promise.all((await childrenOf(pid)).map(residentBytesOf));
  return theirs.reduce((sum, bytes) => sum + bytes, Number(pages) * 4096);
}

async function childrenOf(pid: number): Promise<readonly number[]> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8');
  return text.split(' ').filter(Boolean).map(Number);
}

async function firstExisting(files: readonly string[]): Promise<string | undefined> {
  for (const file of files) {
    const exists = await access(file).then(
      () => true,
      () => false,
    );
    if (exists) return file;
  }
  return undefined;
}

async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return typeof address === 'object' && address !== null ? address.port : 0;
}

async function untilListening(port: number): Promise<void> {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const socket = net.connect(port, '127.0.0.1');
    const [event] = await Promise.race([
      once(socket, 'connect').then(() => ['connect']),
      once(socket, 'close').then(() => ['close']),
    ]).catch(() => ['error']);
    socket.destroy();
    if (event === 'connect') return;
    await delay(50);
  }
  throw new Error(`nothing listens on ${port}`);
}
