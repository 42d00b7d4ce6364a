import type { Socket } from 'node:net';
import type { Metrics } from '../telemetry/metrics.ts';
import type { EndpointStatus } from './endpoint.ts';

type Wire = Pick<Socket, 'bytesRead' | 'bytesWritten'>;
export type RequestKind = 'http/1.1' | 'http/2' | 'upgrade';

/** Sums since the start of the endpoint. */
export interface EndpointTotals {
  readonly requests: Readonly<Record<RequestKind, number>>;
  /** Answers of our own, by their `x-aws-proxy-error`. */
  readonly refusals: ReadonlyMap<string, number>;
  /** Bytes on the wire, TLS and all. */
  readonly receivedBytes: number;
  readonly sentBytes: number;
}

/** Counts what goes through the endpoint: requests one by one, bytes only when somebody asks. */
export class Tally {
  readonly #sockets: ReadonlySet<Wire>;
  readonly #requests: Record<RequestKind, number> = { 'http/1.1': 0, 'http/2': 0, upgrade: 0 };
  readonly #refusals = new Map<string, number>();
  /** Of connections that are closed. */
  #received = 0;
  #sent = 0;

  /** @param open connections that are not closed yet */
  constructor(open: ReadonlySet<Wire>) {
    this.#sockets = open;
  }

  request(kind: RequestKind): void {
    this.#requests[kind] += 1;
  }

  refused(error: string): void {
    this.#refusals.set(error, (this.#refusals.get(error) ?? 0) + 1);
  }

  closed({ bytesRead, bytesWritten }: Wire): void {
    this.#received += bytesRead;
    this.#sent += bytesWritten;
  }

  totals(): EndpointTotals {
    let [receivedBytes, sentBytes] = [this.#received, this.#sent];
    for (const socket of this.#sockets) {
      receivedBytes += socket.bytesRead;
      sentBytes += socket.bytesWritten;
    }
    return { requests: { ...this.#requests }, refusals: this.#refusals, receivedBytes, sentBytes };
  }
}

export function declareEndpointMetrics(metrics: Metrics, status: () => EndpointStatus): void {
  metrics.reading('endpoint_connections', 'Open client connections.', () => status().connections);
  metrics.reading('endpoint_waiting', 'Requests waiting for their microVM.', () => status().waiting);
  metrics.total(
    'endpoint_requests_total',
    'Requests of clients, refused ones too; an upgrade is a WebSocket or a tunnel.',
    () => Object.entries(status().requests).map(([kind, value]) => ({ value, labels: [kind] })),
    ['kind'],
  );
  metrics.total(
    'endpoint_refusals_total',
    "Requests answered in the application's place, by x-aws-proxy-error.",
    () => [...status().refusals].map(([error, value]) => ({ value, labels: [error] })),
    ['error'],
  );
  metrics.total(
    'endpoint_bytes_total',
    'Bytes of client connections on the wire.',
    () => [
      { value: status().receivedBytes, labels: ['in'] },
      { value: status().sentBytes, labels: ['out'] },
    ],
    ['direction'],
  );
}
