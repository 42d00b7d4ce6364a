/*
 * Puts the seam under everything in src/ that is imported from here on: its calls to the file system, to SQLite, to
 * programs and to sockets become steps of the simulated server that makes them. The product itself knows nothing of
 * it. Import this first, and src/ dynamically after it.
 */
import { registerHooks } from 'node:module';

const seam: Readonly<Record<string, string>> = {
  'node:fs/promises': './fs-promises.ts',
  'node:sqlite': './sqlite.ts',
  'node:child_process': './child-process.ts',
  'node:net': './net.ts',
};
const product = new URL('../../../src/', import.meta.url).href;

registerHooks({
  resolve(specifier, context, next) {
    const replacement = seam[specifier];
    if (replacement === undefined || !context.parentURL?.startsWith(product)) return next(specifier, context);
    return { url: new URL(replacement, import.meta.url).href, shortCircuit: true };
  },
});
