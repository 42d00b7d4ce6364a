import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { createInterface } from 'node:readline';

/** A hook as the application got it, or a request to it. */
export interface HookCall {
  readonly name: string;
  readonly line?: string;
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly from?: string;
}

/** One that waits to be told what to answer. */
export interface HeldCall extends HookCall {
  answer(status: number): void;
}

/** Where the applications of `hook-guest.ts` ask what to answer, over their way out: 200 unless something is planned. */
export class HookDesk {
  /** All that came, in order. */
  readonly calls: HookCall[] = [];
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #planned = new Map<string, (number | ((call: HeldCall) => void))[]>();

  private constructor(server: Server) {
    this.#server = server;
    server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.on('error', () => undefined).on('close', () => this.#sockets.delete(socket));
      createInterface({ input: socket })
        .on('line', (line) => this.#receive(JSON.parse(line) as HookCall, socket))
        .on('error', () => undefined);
    });
  }

  /** @param host address that guests reach */
  static async open(host: string): Promise<HookDesk> {
    const server = createServer();
    server.listen(0, host);
    await once(server, 'listening');
    return new HookDesk(server);
  }

  get address(): string {
    const { address, port } = this.#server.address() as AddressInfo;
    return `${address}:${port}`;
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  /** The next calls of a hook are answered so. */
  plan(name: string, ...statuses: readonly number[]): void {
    this.#queue(name).push(...statuses);
  }

  /** Resolves with the next call of a hook, which waits for its answer. */
  hold(name: string): Promise<HeldCall> {
    return new Promise((resolve) => this.#queue(name).push(resolve));
  }

  /** What came since the last time this was asked, by name. */
  takeNames(): readonly string[] {
    return this.calls.splice(0).map(({ name }) => name);
  }

  #queue(name: string): (number | ((call: HeldCall) => void))[] {
    const queue = this.#planned.get(name) ?? [];
    this.#planned.set(name, queue);
    return queue;
  }

  #receive(call: HookCall, socket: Socket): void {
    if (call.name === 'hold') return void socket.write('ok');
    this.calls.push(call);
    const answer = (status: number): void => void socket.end(`${status}\n`);
    const planned = this.#queue(call.name).shift() ?? 200;
    if (typeof planned === 'number') answer(planned);
    else planned({ ...call, answer });
  }
}
