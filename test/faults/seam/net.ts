/** `node:net` as a simulated server sees it: see register.ts. What is said to a VMM's control socket is a step. */
import real from 'node:net';
import { ServerProcess } from '../server-process.ts';

export * from 'node:net';

export function connect(target: string | real.NetConnectOpts): real.Socket {
  const socket = typeof target === 'string' ? real.connect(target) : real.connect(target);
  const server = ServerProcess.current;
  if (server === undefined) return socket;
  server.onCrash(() => socket.destroy());
  return typeof target === 'string' && target.endsWith('/qmp') ? overheard(server, socket) : socket;
}

/** Reading a VMM's state has no effect on it. */
const questions = new Set(['qmp_capabilities', 'query-status', 'migrate-set-capabilities']);

function overheard(server: ServerProcess, socket: real.Socket): real.Socket {
  return new Proxy(socket, {
    get(target, member) {
      const value: unknown = Reflect.get(target, member, target);
      if (typeof value !== 'function') return value;
      if (member !== 'write') return value.bind(target);
      return (line: string) => {
        const command = /"execute":"([^"]+)"/.exec(line)?.[1] ?? '';
        const step = { name: `qmp ${command}`, effect: !questions.has(command), mayFail: false };
        void server.step(step, async () => target.write(line));
        return true;
      };
    },
  });
}

export default { ...real, connect };
