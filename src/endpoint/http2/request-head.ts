import { RequestFields } from '../fields.ts';
import { type HeaderList, valuesOf } from '../headers.ts';
import { isFieldValue, isTarget, isToken, MalformedMessage } from '../http1/grammar.ts';

/** The pseudo-headers and headers of a request. */
export interface RequestHead {
  readonly method: string;
  readonly path: string;
  /** Of an extended CONNECT (RFC 8441). */
  readonly protocol: string | undefined;
  /** Without pseudo-headers; the crumbs of a split cookie joined as HTTP/1.1 wants them. */
  readonly fields: RequestFields;
  /** Value of content-length. */
  readonly length: string | undefined;
  /** There is a `Trailer`: HTTP/1.1 has a place for trailers only behind a body in chunks. */
  readonly announcesTrailers: boolean;
}

type Pseudo = ':method' | ':scheme' | ':authority' | ':path' | ':protocol';
const pseudos: ReadonlySet<string> = new Set<Pseudo>([
  ':method',
  ':scheme',
  ':authority',
  ':path',
  ':protocol',
]);

/** Of one connection only, which HTTP/2 has other words for (RFC 9113, section 8.2.2). */
const connectionFields: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
]);

/**
 * Reads the header list of a request, which has one meaning or none (RFC 9113, section 8).
 * @param last fields of the request before on the connection; used again when they are the same
 * @throws {MalformedMessage}
 */
export function readRequestHead(list: HeaderList, last?: RequestFields): RequestHead {
  const pseudo: Partial<Record<Pseudo, string>> = {};
  const headers: string[] = [];
  let crumbs: string | undefined;
  let length: string | undefined;
  for (let index = 0; index < list.length; index += 2) {
    const name = list[index] ?? '';
    const value = list[index + 1] ?? '';
    if (isPseudo(name)) {
      if (headers.length > 0 || crumbs !== undefined || pseudo[name] !== undefined) {
        throw new MalformedMessage('a pseudo-header out of place');
      }
      checkValue(value);
      pseudo[name] = value;
      continue;
    }
    checkField(name, value);
    if (name === 'cookie') {
      crumbs = crumbs === undefined ? value : `${crumbs}; ${value}`;
      continue;
    }
    if (name === 'content-length') {
      if (length !== undefined || !/^\d{1,15}$/.test(value)) throw new MalformedMessage('the content length');
      length = value;
    }
    headers.push(name, value);
  }
  if (crumbs !== undefined) headers.push('cookie', crumbs);
  const { ':method': method, ':path': path = '', ':protocol': protocol } = pseudo;
  if (method === undefined || !isToken(method)) throw new MalformedMessage('the method');
  checkTarget(method, pseudo);
  const fields = fieldsOf(headers, pseudo[':authority'], last);
  const announcesTrailers = valuesOf(headers, 'trailer').length > 0;
  return { method, path, protocol, fields, length, announcesTrailers };
}

/** @throws {MalformedMessage} */
export function checkTrailers(list: HeaderList): void {
  for (let index = 0; index < list.length; index += 2) checkField(list[index] ?? '', list[index + 1] ?? '');
}

function isPseudo(name: string): name is Pseudo {
  return pseudos.has(name);
}

/** What a request must have depends on what it is (RFC 9113, sections 8.3.1 and 8.5; RFC 8441, section 4). */
function checkTarget(method: string, pseudo: Partial<Record<Pseudo, string>>): void {
  const { ':path': path, ':scheme': scheme, ':authority': authority, ':protocol': protocol } = pseudo;
  if (protocol !== undefined && method !== 'CONNECT')
    throw new MalformedMessage('a protocol without CONNECT');
  if (method === 'CONNECT' && protocol === undefined) {
    if (path !== undefined || scheme !== undefined) throw new MalformedMessage('CONNECT with a path');
    return;
  }
  if (path === undefined || scheme === undefined) throw new MalformedMessage('no path or no scheme');
  if (!isTarget(path)) throw new MalformedMessage('the path');
  if (protocol !== undefined && authority === undefined) throw new MalformedMessage('CONNECT to nobody');
}

function checkField(name: string, value: string): void {
  // What no lower case changes has none of the upper.
  if (!isToken(name) || name !== name.toLowerCase()) throw new MalformedMessage('the name of a field');
  checkValue(value);
  if (connectionFields.has(name) || (name === 'te' && value.toLowerCase() !== 'trailers')) {
    throw new MalformedMessage('a field of one connection');
  }
}

function checkValue(value: string): void {
  if (!isFieldValue(value) || /^[ \t]|[ \t]$/.test(value)) throw new MalformedMessage('the value of a field');
}

function fieldsOf(
  headers: HeaderList,
  named: string | undefined,
  last: RequestFields | undefined,
): RequestFields {
  const hosts = valuesOf(headers, 'host');
  const authority = named ?? hosts[0];
  const consistent = hosts.every((host) => host.toLowerCase() === authority?.toLowerCase());
  const known = consistent ? authority : undefined;
  const same =
    last?.authority === known &&
    last?.list.length === headers.length &&
    last.list.every((entry, index) => entry === headers[index]);
  return same ? last : new RequestFields(headers, known);
}

/** Stands for a head that is too long to be read. */
export const oversizedHead: RequestHead = {
  method: '',
  path: '',
  protocol: undefined,
  fields: new RequestFields([]),
  length: undefined,
  announcesTrailers: false,
};
