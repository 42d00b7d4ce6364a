import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { h1Requests, type Target } from './endpoint/load.ts';
import { Laboratory } from './support/laboratory.ts';
import type { BenchmarkOptions } from './support/options.ts';
import { report, SampleSet } from './support/results.ts';

/** Does for ever what the first request's path says. */
const app = `import http.server, os, threading
def compute():
    while True: pass
def line_feeds():
    while True: os.write(1, b'\\n' * 65536)
def lines():
    while True: os.write(1, (b'x' * 99 + b'\\n') * 655)
class App(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        work = {'/compute': compute, '/line-feeds': line_feeds, '/lines': lines}.get(self.path)
        if work: threading.Thread(target=work, daemon=True).start()
        self.send_response(200)
        self.send_header('content-length', '0')
        self.end_headers()
    def log_message(self, *arguments): pass
http.server.ThreadingHTTPServer(('', 8080), App).serve_forever()
`;
const dockerfile = 'FROM dormouse/python:3.11\nCOPY app.py /\nEXPOSE 8080\nCMD ["python3", "/app.py"]\n';

/** What a neighbour does, and the path that makes it. Computing costs the processor and nothing of the server. */
const neighbours = [
  ['a neighbour that computes', '/compute'],
  ['a neighbour that prints line feeds', '/line-feeds'],
  ['a neighbour that prints lines of 100 bytes', '/lines'],
] as const;
const warmUps = 50;

/** What one microVM's requests take while another one is busy, and what the busy one's own take. */
export async function run({ n }: BenchmarkOptions): Promise<void> {
  await Laboratory.with(async (laboratory) => {
    const context = laboratory.scratch('noisy');
    await mkdir(context);
    await writeFile(path.join(context, 'Dockerfile'), dockerfile);
    await writeFile(path.join(context, 'app.py'), app);
    await laboratory.build();
    await laboratory.build('noisy', undefined, context);
    const { microvm, token } = await laboratory.launch();
    const target = await laboratory.target(microvm, token);
    await h1Requests(target, 4, warmUps);
    const samples = new SampleSet();
    const measure = async (what: string, of: Target): Promise<void> => {
      for (const latency of await h1Requests(of, 1, n)) samples.add(`${what} (ms)`, latency);
    };
    await measure('alone', target);
    for (const [what, work] of neighbours) {
      const neighbour = await laboratory.launch('noisy');
      await laboratory.client.get(neighbour.microvm, neighbour.token, work);
      await measure(`beside ${what}`, target);
      await measure(`${what}, itself`, await laboratory.target(neighbour.microvm, neighbour.token));
      await laboratory.terminate(neighbour.microvm);
    }
    await report('neighbour', laboratory, samples.samples);
    await laboratory.terminate(microvm);
  });
}
