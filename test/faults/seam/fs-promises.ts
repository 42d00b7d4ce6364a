/** `node:fs/promises` as a simulated server sees it: see register.ts. */
import * as real from 'node:fs/promises';
import { ServerProcess } from '../server-process.ts';

export * from 'node:fs/promises';

type Asynchronous = (...parameters: never[]) => Promise<unknown>;

function describe(server: ServerProcess, name: string, parameters: readonly unknown[]): string {
  const paths = parameters.filter((parameter) => typeof parameter === 'string' && parameter.startsWith('/'));
  return server.shorten([name, ...paths].join(' '));
}

function wrap<Call extends Asynchronous>(name: string, effect: boolean, call: Call): Call {
  const wrapped = (...parameters: Parameters<Call>): Promise<unknown> => {
    const server = ServerProcess.current;
    if (server === undefined) return call(...parameters);
    const foreign = String(parameters[0]).startsWith('/proc/');
    const step = { name: describe(server, name, parameters), effect, mayFail: !foreign };
    return server.step(step, () => call(...parameters));
  };
  return wrapped as Call;
}

export const appendFile = wrap('appendFile', true, real.appendFile);
export const chmod = wrap('chmod', true, real.chmod);
export const chown = wrap('chown', true, real.chown);
export const copyFile = wrap('copyFile', true, real.copyFile);
export const link = wrap('link', true, real.link);
export const mkdir = wrap('mkdir', true, real.mkdir);
export const readdir = wrap('readdir', false, real.readdir);
export const readFile = wrap('readFile', false, real.readFile);
export const rename = wrap('rename', true, real.rename);
export const rm = wrap('rm', true, real.rm);
export const rmdir = wrap('rmdir', true, real.rmdir);
export const stat = wrap('stat', false, real.stat);
export const truncate = wrap('truncate', true, real.truncate);
export const unlink = wrap('unlink', true, real.unlink);
export const utimes = wrap('utimes', true, real.utimes);
export const writeFile = wrap('writeFile', true, real.writeFile);

const handleEffects: Readonly<Record<string, boolean>> = {
  appendFile: true,
  datasync: true,
  read: false,
  readFile: false,
  stat: false,
  sync: true,
  truncate: true,
  write: true,
  writeFile: true,
};

/** A process that ends leaves no file open. */
const openWrapped = wrap('open', true, async (...parameters: Parameters<typeof real.open>) => {
  const handle = await real.open(...parameters);
  const close = (): void => void handle.close().catch(() => undefined);
  if (ServerProcess.current?.dead === true) close();
  ServerProcess.current?.onCrash(close);
  return handle;
});

/** Nobody renames what they are about to sync, so the path by which it was opened still leads to it. */
function synced(server: ServerProcess, file: string, call: Asynchronous): Asynchronous {
  return async (...rest) => {
    const done = server.disk?.syncing(file);
    await call(...rest);
    done?.();
  };
}

export const open: typeof real.open = async (...parameters) => {
  const handle = await openWrapped(...parameters);
  const server = ServerProcess.current;
  if (server === undefined) return handle;
  return new Proxy(handle, {
    get(target, member) {
      const value: unknown = Reflect.get(target, member, target);
      if (typeof value !== 'function') return value;
      const call: Asynchronous = value.bind(target);
      const effect = typeof member === 'string' ? handleEffects[member] : undefined;
      if (effect === undefined) return call;
      const name = server.shorten(`${String(member)} ${String(parameters[0])}`);
      const watched =
        member === 'sync' || member === 'datasync' ? synced(server, String(parameters[0]), call) : call;
      return (...rest: never[]) => server.step({ name, effect, mayFail: true }, () => watched(...rest));
    },
  });
};
