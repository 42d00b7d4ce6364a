import path from 'node:path';
import { entries } from '../../blobs/entries.ts';
import type { DataContext } from './context.ts';
import type { Finding } from './finding.ts';
import { leftOver } from './left-over.ts';

/** Objects of the built-in bucket whose content is missing, and files of no object. */
export async function examineObjects(context: DataContext): Promise<readonly Finding[]> {
  const at = (...names: string[]): string => path.join(context.directory, 's3', ...names);
  const [rows, uploads, blobs] = await Promise.all([
    context.reading.selectFrom('s3_objects').select(['bucket', 'key', 'blob']).execute(),
    context.reading.selectFrom('s3_uploads').select('upload_id').execute(),
    entries(at('objects')),
  ]);
  const there = new Set(blobs);
  const missing = rows
    .filter(({ blob }) => !there.has(blob))
    .map(({ bucket, key, blob }): Finding => {
      const subject = `s3://${bucket}/${key}`;
      const run = async (): Promise<void> => {
        const store = await context.writing();
        await store
          .deleteFrom('s3_objects')
          .where('bucket', '=', bucket)
          .where('key', '=', key)
          .where('blob', '=', blob)
          .execute();
      };
      return {
        kind: 'missing-object',
        subject,
        detail: `its content is missing: ${at('objects', blob)}`,
        remedy: 'upload it again, or restore the file from a backup',
        repair: { does: `delete ${subject}`, run },
      };
    });
  const kept = {
    objects: new Set(rows.map(({ blob }) => blob)),
    uploads: new Set(uploads.map(({ upload_id }) => upload_id)),
    tmp: new Set<string>(),
  };
  const foreign: Finding[] = [];
  for (const [folder, known] of Object.entries(kept)) {
    for (const name of await entries(at(folder))) {
      if (!known.has(name)) foreign.push(leftOver('object-files', at(folder, name), 'of no object'));
    }
  }
  return [...missing, ...foreign];
}
