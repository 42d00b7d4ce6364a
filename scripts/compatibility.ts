/** Writes docs/compatibility.md anew from the tables that the server works by: `node scripts/compatibility.ts`. */
import { writeFile } from 'node:fs/promises';
import { compatibilityFile, compatibilityText } from './support/compatibility/document.ts';

await writeFile(compatibilityFile, await compatibilityText());
