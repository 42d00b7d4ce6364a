/** Takes a stream of chunks apart by lines and lengths, holding one chunk and a line at most. */
export interface ByteReader {
  /** The next line without its CRLF; undefined at the end. Throws what `tooLong` makes for an endless one. */
  line(limit: number, tooLong: () => Error): Promise<string | undefined>;
  /** Between one and `most` bytes; undefined at the end. */
  some(most: number): Promise<Buffer | undefined>;
}

export function createByteReader(source: AsyncIterable<Buffer>): ByteReader {
  const iterator = source[Symbol.asyncIterator]();
  let rest: Buffer = Buffer.alloc(0);

  async function fill(): Promise<boolean> {
    while (rest.length === 0) {
      const next = await iterator.next();
      if (next.done === true) return false;
      rest = next.value;
    }
    return true;
  }

  return {
    async line(limit, tooLong) {
      const parts: Buffer[] = [];
      let length = 0;
      while (await fill()) {
        const end = rest.indexOf('\n');
        const part = end === -1 ? rest : rest.subarray(0, end);
        length += part.length;
        if (length > limit) throw tooLong();
        parts.push(part);
        rest = rest.subarray(end === -1 ? rest.length : end + 1);
        if (end !== -1) return Buffer.concat(parts).toString('latin1').replace(/\r$/, '');
      }
      return length === 0 ? undefined : Buffer.concat(parts).toString('latin1');
    },

    async some(most) {
      if (!(await fill())) return undefined;
      const taken = rest.subarray(0, most);
      rest = rest.subarray(taken.length);
      return taken;
    },
  };
}
