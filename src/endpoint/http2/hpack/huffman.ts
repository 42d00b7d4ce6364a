/**
 * Lengths in bits of the codes of the 256 bytes and of the end of a string (RFC 7541, appendix B), in base 36.
 * The code is canonical: lengths are all there is to know of it.
 */
const lengths =
  'dnsssssssoussussssssssusssssssss6aacd68baa8b8666555666666678f6ca' +
  'd67777777777777777777777878djde6f56565666577666567655677777fbeds' +
  'kmkkmmmnmnnnnnonoomnonnnnlmnmnnomlkmmnnlnmmolmnnllmlnmnnkmmmnmmn' +
  'qqkjmnmpqqqrrqopjlqrrqrollqqsrrrkoklmllnmmppooqnqrqqrrrrrsrrrrrq' +
  'u';

const endOfString = 256;
const longest = 30;
/** Codes up to this length are found by one look. */
const short = 9;

const codes = new Uint32Array(257);
const codeLengths = Uint8Array.from(lengths, (length) => Number.parseInt(length, 36));
/** By the next bits: symbol and length of the code they begin with, or 0 where it is longer. */
const shortCodes = new Uint16Array(1 << short);
/** By length: the first code, and the place of its symbol among all, ordered by code. */
const firstCode = new Uint32Array(longest + 1);
const firstPlace = new Uint16Array(longest + 2);
const ordered = new Uint16Array(257);

for (let length = 1, code = 0, place = 0; length <= longest; length += 1) {
  code *= 2;
  firstCode[length] = code;
  firstPlace[length] = place;
  for (let symbol = 0; symbol <= endOfString; symbol += 1) {
    if (codeLengths[symbol] !== length) continue;
    codes[symbol] = code;
    ordered[place] = symbol;
    if (length <= short) {
      const from = code << (short - length);
      shortCodes.fill((symbol << 4) | length, from, from + (1 << (short - length)));
    }
    code += 1;
    place += 1;
  }
  firstPlace[length + 1] = place;
}

/** Bytes that this many coded ones become at most: the shortest code has 5 bits. */
export function mostDecoded(bytes: number): number {
  return Math.ceil((bytes * 8) / 5);
}

/**
 * Reads Huffman-coded bytes (RFC 7541, section 5.2) into `target`.
 * @returns the number of bytes written, or -1 when the coding is broken
 */
export function decodeHuffman(source: Uint8Array, from: number, to: number, target: Uint8Array): number {
  const end = to * 8;
  let written = 0;
  for (let position = from * 8; position < end; ) {
    const at = position >>> 3;
    const left = end - position;
    const pair = ((source[at] ?? 0) << 8) | (at + 1 < to ? (source[at + 1] ?? 0) : 0xff);
    const window = (pair >>> (7 - (position & 7))) & 0x1ff;
    const found = shortCodes[window] ?? 0;
    let length = found & 0xf;
    let symbol = found >>> 4;
    if (length === 0 || length > left) {
      // What does not fill the last byte is the beginning of the end of a string.
      if (left < 8 && window >>> (short - left) === (1 << left) - 1) return written;
      let code = window;
      for (length = short, symbol = endOfString; ; ) {
        length += 1;
        if (length > left || length > longest) return -1;
        const bit = position + length - 1;
        code = code * 2 + (((source[bit >>> 3] ?? 0) >>> (7 - (bit & 7))) & 1);
        const place = (firstPlace[length] ?? 0) + code - (firstCode[length] ?? 0);
        if (place >= (firstPlace[length + 1] ?? 0)) continue;
        symbol = ordered[place] ?? endOfString;
        break;
      }
      if (symbol === endOfString) return -1;
    }
    target[written] = symbol;
    written += 1;
    position += length;
  }
  return written;
}

/** Bytes that a text in Latin-1 takes when it is Huffman-coded. */
export function huffmanLength(text: string): number {
  let bits = 0;
  for (let index = 0; index < text.length; index += 1)
    bits += codeLengths[text.charCodeAt(index) & 0xff] ?? 0;
  return (bits + 7) >>> 3;
}

/** The coded bytes, as a text in Latin-1 like what it is made of. */
export function encodeHuffman(text: string): string {
  let coded = '';
  /** Bits to come, at the low end; fewer than 8 between two characters. */
  let bits = 0;
  let count = 0;
  for (let index = 0; index < text.length; index += 1) {
    const symbol = text.charCodeAt(index) & 0xff;
    const length = codeLengths[symbol] ?? 0;
    // 37 bits at most: more than a shift can hold, and exact as a number.
    bits = bits * 2 ** length + (codes[symbol] ?? 0);
    count += length;
    while (count >= 8) {
      count -= 8;
      const byte = Math.floor(bits / 2 ** count);
      coded += String.fromCharCode(byte);
      bits -= byte * 2 ** count;
    }
  }
  if (count === 0) return coded;
  return coded + String.fromCharCode(((bits + 1) << (8 - count)) - 1);
}
