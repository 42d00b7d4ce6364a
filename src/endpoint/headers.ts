/** Header lists as Node's parsers give them: name, value, name, value, in the order and case of the sender. */
export type HeaderList = readonly string[];

/** The whole namespace belongs to the proxy and crosses it in neither direction (spec section 5.3). */
const reservedPrefix = 'x-aws-proxy-';

export const requestIdHeader = 'x-amzn-requestid';

/** Meant for the next hop only, or set by the proxy itself. */
const notForwarded: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'expect',
  'host',
  'http2-settings',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'transfer-encoding',
  'upgrade',
  requestIdHeader,
]);

/** Also unfit for trailers: they would be taken for what a header of that name means. */
const notInTrailers: ReadonlySet<string> = new Set([
  'authorization',
  'cache-control',
  'content-encoding',
  'content-range',
  'content-type',
  'cookie',
  'set-cookie',
  'trailer',
]);

/** All values of a header, in order. */
export function valuesOf(headers: HeaderList, name: string): readonly string[] {
  const values: string[] = [];
  for (let index = 0; index + 1 < headers.length; index += 2) {
    const entry = headers[index] ?? '';
    // Most differ in length already: this runs several times for every request.
    if (entry.length === name.length && entry.toLowerCase() === name) values.push(headers[index + 1] ?? '');
  }
  return values;
}

/** The members of a comma-separated header, trimmed; empty ones dropped. */
export function membersOf(headers: HeaderList, name: string): readonly string[] {
  const values = valuesOf(headers, name);
  if (values.length === 0) return values;
  return values
    .flatMap((value) => value.split(','))
    .map((member) => member.trim())
    .filter((member) => member !== '');
}

/** What remains of a message's headers for the other side of the proxy; framing is left to the caller. */
export function forwardable(headers: HeaderList): string[] {
  const kept: string[] = [];
  const listed = connectionOptions(headers);
  for (let index = 0; index + 1 < headers.length; index += 2) {
    const name = headers[index] ?? '';
    const lower = name.toLowerCase();
    if (notForwarded.has(lower) || lower.startsWith(reservedPrefix) || listed?.has(lower) === true) continue;
    kept.push(name, headers[index + 1] ?? '');
  }
  return kept;
}

export function forwardableTrailers(trailers: HeaderList): string[] {
  const kept = forwardable(trailers);
  const safe: string[] = [];
  for (let index = 0; index + 1 < kept.length; index += 2) {
    const name = kept[index] ?? '';
    if (!notInTrailers.has(name.toLowerCase())) safe.push(name, kept[index + 1] ?? '');
  }
  return safe;
}

/** Names the sender declared to be for this hop only (RFC 9110, section 7.6.1). */
function connectionOptions(headers: HeaderList): ReadonlySet<string> | undefined {
  const options = membersOf(headers, 'connection').map((option) => option.toLowerCase());
  return options.every((option) => option === 'keep-alive' || option === 'close')
    ? undefined
    : new Set(options);
}

/** HTTP/2 wants names in lower case. */
export function lowerCaseNames(headers: HeaderList): string[] {
  return headers.map((entry, index) => (index % 2 === 0 ? entry.toLowerCase() : entry));
}

/** Name and value pairs, as `addTrailers` takes them. */
export function pairsOf(headers: HeaderList): Array<[string, string]> {
  const pairs: Array<[string, string]> = [];
  for (let index = 0; index + 1 < headers.length; index += 2) {
    pairs.push([headers[index] ?? '', headers[index + 1] ?? '']);
  }
  return pairs;
}
