import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';

/** JSON text with a checksum of itself in it, as its last member. */
export function sealed(value: object): string {
  return JSON.stringify({ ...value, seal: sealOf(value) }, undefined, 2);
}

/**
 * What {@link sealed} made a text of. Texts without a checksum are taken as they are: earlier versions made them.
 * @throws {Error} the text is no JSON object, or is not what it was
 */
export function unsealed(text: string): unknown {
  const value: unknown = JSON.parse(text);
  if (typeof value !== 'object' || value === null) throw new Error('not a JSON object');
  if (!('seal' in value)) return value;
  const { seal, ...content } = value;
  if (seal !== sealOf(content)) throw new Error('the text is not what it was when it was sealed');
  return content;
}

function sealOf(value: object): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex');
}

/**
 * Reads a sealed file. Undefined where there is none.
 * @param damaged makes the error for one that is not what it was, or not what `parse` takes
 */
export async function readSealed<Content>(
  file: string,
  parse: (content: unknown) => Content,
  damaged: (cause: unknown) => Error,
): Promise<Content | undefined> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (text === undefined) return undefined;
  try {
    return parse(unsealed(text));
  } catch (error) {
    throw damaged(error);
  }
}
