import { type HeaderList, pairsOf, valuesOf } from '../headers.ts';
import type { UpgradeClient } from '../upgrade-client.ts';
import { fieldsBlock, statusBlock } from './hpack/encoder.ts';
import type { RequestHead } from './request-head.ts';
import type { ServerExchange } from './server-exchange.ts';
import type { ServerStream } from './server-stream.ts';
import { StreamDuplex } from './stream-duplex.ts';

/** A request to use a stream for another protocol: extended CONNECT (RFC 8441). */
export function upgradeOverH2(
  stream: ServerStream,
  head: RequestHead,
  exchange: ServerExchange,
): UpgradeClient {
  return {
    protocol: head.protocol?.toLowerCase(),
    exchange,
    isWebSocket: valuesOf(head.fields.list, 'sec-websocket-version').join() === '13',
    whenClosed: (callback) => exchange.whenOver(callback),
    accept(answer) {
      stream.head(statusBlock(200) + fieldsBlock(forStream(answer)), false);
      return new StreamDuplex(stream);
    },
  };
}

function forStream(answer: HeaderList): HeaderList {
  return pairsOf(answer)
    .filter(([name]) => !ofHttp1Only.has(name.toLowerCase()))
    .flat();
}

const ofHttp1Only: ReadonlySet<string> = new Set(['connection', 'upgrade', 'sec-websocket-accept']);
