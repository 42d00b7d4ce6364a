import type { ObjectChecksums } from '../../s3/object-store.ts';
import type { S3Error } from '../../s3/s3-error.ts';
import type { Exchange } from '../http/exchange.ts';
import { element, type XmlNode, xmlDocument } from '../xml/write.ts';

const namespace = 'http://s3.amazonaws.com/doc/2006-03-01/';

/** The outermost element of an answer. */
export function s3Document(name: string, children: readonly (XmlNode | undefined)[]): XmlNode {
  return element(name, children, { xmlns: namespace });
}

/** Sends a text that was stored as it is. */
export function sendDocument({ response }: Exchange, contentType: string, text: string): void {
  const bytes = Buffer.from(text);
  response.writeHead(200, { 'content-type': contentType, 'content-length': bytes.length }).end(bytes);
}

export function sendXml({ response }: Exchange, status: number, document: XmlNode): void {
  const bytes = Buffer.from(xmlDocument(document));
  response
    .writeHead(status, { 'content-type': 'application/xml', 'content-length': bytes.length })
    .end(bytes);
}

export function sendEmpty({ response }: Exchange, status: number): void {
  if (status === 204) response.writeHead(status).end();
  else response.writeHead(status, { 'content-length': 0 }).end();
}

export function sendS3Error(exchange: Exchange, error: S3Error): void {
  const { message, response, requestId, request } = exchange;
  // A body that was not read to its end would be taken for the next request.
  if (!message.complete) response.setHeader('connection', 'close');
  if (request.method === 'HEAD') {
    response.writeHead(error.status).end();
    return;
  }
  const document = element('Error', [
    element('Code', error.code),
    element('Message', error.message),
    ...Object.entries(error.details).map(([name, value]) => element(name, value)),
    element('Resource', request.path),
    element('RequestId', requestId),
  ]);
  sendXml(exchange, error.status, document);
}

export function quoteEtag(etag: string): string {
  return `"${etag}"`;
}

export function unquoteEtag(etag: string): string {
  return etag.trim().replace(/^"(.*)"$/, '$1');
}

/** `x-amz-checksum-…` headers of an object or part. */
export function checksumHeaders(values: ObjectChecksums['values']): [name: string, value: string][] {
  return Object.entries(values).map(([algorithm, value]) => [`x-amz-checksum-${algorithm}`, value]);
}

/** `ChecksumCRC32` and its like. */
export function checksumElements(values: ObjectChecksums['values']): XmlNode[] {
  return Object.entries(values).map(([algorithm, value]) =>
    element(`Checksum${algorithm.toUpperCase()}`, value),
  );
}
