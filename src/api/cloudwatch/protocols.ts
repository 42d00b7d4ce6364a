import { CborError, decodeCbor } from '../cbor/decode.ts';
import { CborTime, type CborValue, encodeCbor } from '../cbor/encode.ts';
import { parseJsonBody } from '../http/body.ts';
import type { ClaimedExchange } from '../http/exchange.ts';
import { parseQuery } from '../sigv4/uri.ts';
import { element, type XmlNode, xmlDocument } from '../xml/write.ts';
import { CloudWatchError, documentOf, type Fields, fieldsOf } from './input.ts';

/** One of the three ways in which clients of different ages speak to CloudWatch. */
export interface Protocol {
  readonly contentType: string;
  readonly headers: Readonly<Record<string, string>>;
  actionOf(exchange: ClaimedExchange, body: Buffer): string;
  read(body: Buffer, exchange: ClaimedExchange): Fields;
  answer(action: string, result: Readonly<Record<string, CborValue>>, requestId: string): Buffer;
  refuse(code: string, message: string, requestId: string): Buffer;
}

const target = 'GraniteServiceVersion20100801';
const namespace = 'http://monitoring.amazonaws.com/doc/2010-08-01/';

const cbor: Protocol = {
  contentType: 'application/cbor',
  headers: { 'smithy-protocol': 'rpc-v2-cbor' },
  actionOf: ({ request }) =>
    new RegExp(`^/service/${target}/operation/(\\w+)$`).exec(request.path)?.[1] ?? '',
  read(body) {
    try {
      return fieldsOf(body.length === 0 ? {} : decodeCbor(body), 'body');
    } catch (error) {
      if (error instanceof CborError) {
        throw new CloudWatchError('InvalidParameterValue', `The body is no CBOR: ${error.message}.`);
      }
      throw error;
    }
  },
  answer: (_action, result) => encodeCbor(result),
  refuse: (code, message) => encodeCbor({ __type: code, message }),
};

const json: Protocol = {
  contentType: 'application/x-amz-json-1.0',
  headers: {},
  actionOf({ request }) {
    const [prefix, name] = (request.headers.get('x-amz-target') ?? '').split('.');
    return prefix === target ? (name ?? '') : '';
  },
  read: (body) => fieldsOf(parseJsonBody(body) ?? {}, 'body'),
  answer: (_action, result) => Buffer.from(JSON.stringify(result, secondsOf)),
  refuse: (code, message) => Buffer.from(JSON.stringify({ __type: code, message })),
};

const query: Protocol = {
  contentType: 'text/xml',
  headers: {},
  actionOf: (exchange, body) => String(query.read(body, exchange).Action ?? ''),
  read: (body, { request }) =>
    documentOf([...parseQuery(body.toString('utf8')), ...parseQuery(request.query)]),
  answer(action, result, requestId) {
    const document = element(
      `${action}Response`,
      [
        element(`${action}Result`, membersOf(result)),
        element('ResponseMetadata', [element('RequestId', requestId)]),
      ],
      { xmlns: namespace },
    );
    return Buffer.from(xmlDocument(document));
  },
  refuse(code, message, requestId) {
    const details = [element('Type', 'Sender'), element('Code', code), element('Message', message)];
    const document = element('ErrorResponse', [element('Error', details), element('RequestId', requestId)], {
      xmlns: namespace,
    });
    return Buffer.from(xmlDocument(document));
  },
};

/** How a client speaks. */
export function protocolOf({ request }: ClaimedExchange): Protocol {
  if (request.headers.get('smithy-protocol') === 'rpc-v2-cbor') return cbor;
  return request.headers.has('x-amz-target') ? json : query;
}

/** Times of JSON are seconds. */
function secondsOf(_key: string, value: unknown): unknown {
  return value instanceof CborTime ? value.milliseconds / 1000 : value;
}

function membersOf(fields: Readonly<Record<string, CborValue | undefined>>): XmlNode[] {
  return Object.entries(fields).flatMap(([name, value]) =>
    value === undefined || value === null ? [] : [toXml(name, value)],
  );
}

function toXml(name: string, value: CborValue): XmlNode {
  if (value instanceof CborTime) return element(name, new Date(value.milliseconds).toISOString());
  if (isList(value))
    return element(
      name,
      value.map((item) => toXml('member', item)),
    );
  if (typeof value === 'object' && value !== null) return element(name, membersOf(value));
  return element(name, value ?? '');
}

function isList(value: CborValue): value is readonly CborValue[] {
  return Array.isArray(value);
}
