import { enableCompileCache } from 'node:module';
import { fileURLToPath } from 'node:url';

// Stripped and compiled once, the code is read back from then on: a command starts in half the time, and so does a
// server. Where the directory cannot be written to it is compiled each time.
enableCompileCache(fileURLToPath(new URL('../../build/compile-cache', import.meta.url)));
await import('./main.ts');
