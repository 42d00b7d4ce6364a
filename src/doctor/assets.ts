import { constants } from 'node:fs';
import { access, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import type { Assets } from '../assets.ts';
import { type Check, inspect, setupRemedy } from './check.ts';

/** The storage drivers that the set-up chooses from; each keeps its list of images in a directory of its own. */
const imageLists = ['overlay-images', 'vfs-images'] as const;

const baseImages = ['dormouse/debian:12', 'dormouse/python:3.11', 'dormouse/node:24'];

const imageList = z.array(z.object({ names: z.array(z.string()).optional() }));

/** What the set-up makes. */
export function checkAssets(assets: Assets): Promise<readonly Check[]> {
  return Promise.all([
    checkFile('guest kernel', assets.kernel, constants.R_OK),
    checkFile('guest initrd', assets.initrd, constants.R_OK),
    checkFile('memory helper', assets.memoryDifference, constants.X_OK),
    checkFile('VMM jail', assets.vmmJail, constants.X_OK),
    checkBaseImages(assets.containerStorage),
  ]);
}

function checkFile(name: string, file: string, mode: number): Promise<Check> {
  return inspect(name, true, async () => {
    const size = await stat(file).then(
      (found) => found.size,
      () => undefined,
    );
    if (size === undefined) return { ok: false, detail: `${file} is missing`, remedy: setupRemedy };
    if (size === 0) return { ok: false, detail: `${file} is empty`, remedy: setupRemedy };
    const allowed = await access(file, mode).then(
      () => true,
      () => false,
    );
    if (allowed) return { ok: true, detail: `${file} (${(size / 2 ** 20).toFixed(1)} MiB)` };
    return {
      ok: false,
      detail: `this user may not use ${file}`,
      remedy: 'let the same user run set-up and server',
    };
  });
}

function checkBaseImages(storage: string): Promise<Check> {
  return inspect('base images', true, async () => {
    const names = await storedImages(storage);
    const absent = baseImages.filter((image) => !names.includes(`localhost/${image}`));
    if (absent.length === 0) return { ok: true, detail: baseImages.join(', ') };
    return { ok: false, detail: `${absent.join(', ')} missing in ${storage}`, remedy: setupRemedy };
  });
}

async function storedImages(storage: string): Promise<readonly string[]> {
  for (const directory of imageLists) {
    const file = path.join(storage, directory, 'images.json');
    const content = await readFile(file, 'utf8').catch((error: unknown) => {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
      throw error;
    });
    if (content !== undefined)
      return imageList.parse(JSON.parse(content)).flatMap(({ names }) => names ?? []);
  }
  return [];
}
