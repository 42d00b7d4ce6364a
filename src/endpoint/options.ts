import type { Microvm } from '../model/microvm.ts';

/** What the clients of one microVM, or those with one token, may do at the same time. */
export interface TrafficLimits {
  /** Connections whose last request was theirs. */
  readonly connections: number;
  /** Requests and streams under way. */
  readonly concurrent: number;
  readonly requestsPerSecond: number;
}

export interface EndpointLimits {
  /** Open client connections, all microVMs together. */
  readonly connections: number;
  /** Time for the TLS handshake. */
  readonly handshakeTimeoutMs: number;
  /** Time from the first byte of a request's head to its last. */
  readonly headersTimeoutMs: number;
  /** Idle time of a client connection between two requests. */
  readonly keepAliveTimeoutMs: number;
  /** Silence on a connection in the middle of a request, stream or WebSocket. */
  readonly idleTimeoutMs: number;
  /** All the time from a request's head to the end of its answer, WebSocket or tunnel. */
  readonly totalTimeMs: number;
  /** Bytes and number of headers of one message, in either direction. */
  readonly headerBytes: number;
  readonly headerCount: number;
  /** Streams a client may have open on one HTTP/2 connection. */
  readonly concurrentStreams: number;
  /** HTTP/2 flow-control windows, per stream and per connection; they bound what a slow reader makes us hold. */
  readonly streamWindowBytes: number;
  readonly connectionWindowBytes: number;
  /** Requests waiting for one microVM to be reachable, and for how long. */
  readonly waitersPerMicrovm: number;
  readonly wakeTimeoutMs: number;
  /** Time the application has for its HTTP/2 preface or the answer to an upgrade. */
  readonly upstreamHandshakeTimeoutMs: number;
  /** Kept-alive connections into guests: idle time, number per port of a microVM and in all. */
  readonly upstreamIdleMs: number;
  readonly upstreamIdlePerPort: number;
  readonly upstreamIdle: number;
  /**
   * A request whose kept connection is closed by the application this soon, before any answer, is sent again. On
   * one that has waited longer the application has probably worked.
   */
  readonly repeatWithinMs: number;
  /** Whether a 502 says in words what is the matter. */
  readonly explain502: boolean;
  /** Informational (1xx) responses passed on per request. */
  readonly informationalResponses: number;
  readonly perToken: TrafficLimits;
  readonly perMicrovm: (vm: Microvm) => TrafficLimits;
  /** Bytes per second that each GiB of a microVM's memory gives its endpoint, both directions together. */
  readonly bytesPerSecondPerGib: number;
}

const common: Omit<EndpointLimits, 'explain502' | 'perToken' | 'perMicrovm' | 'bytesPerSecondPerGib'> = {
  connections: 20_000,
  handshakeTimeoutMs: 10_000,
  headersTimeoutMs: 15_000,
  keepAliveTimeoutMs: 75_000,
  idleTimeoutMs: 6 * 3600 * 1000,
  totalTimeMs: Number.POSITIVE_INFINITY,
  headerBytes: 64 * 1024,
  headerCount: 200,
  concurrentStreams: 1000,
  streamWindowBytes: 16 * 1024 * 1024,
  connectionWindowBytes: 32 * 1024 * 1024,
  waitersPerMicrovm: 2000,
  wakeTimeoutMs: 60_000,
  upstreamHandshakeTimeoutMs: 30_000,
  upstreamIdleMs: 1500,
  upstreamIdlePerPort: 64,
  upstreamIdle: 2000,
  repeatWithinMs: 2000,
  informationalResponses: 32,
};

const relaxedTraffic: TrafficLimits = {
  connections: 15_000,
  concurrent: 10_000,
  requestsPerSecond: Number.POSITIVE_INFINITY,
};

/** Defaults per profile (spec sections 5.5 and 11). */
export const endpointLimits: Readonly<Record<'relaxed' | 'aws', EndpointLimits>> = {
  relaxed: {
    ...common,
    explain502: true,
    perToken: relaxedTraffic,
    perMicrovm: () => relaxedTraffic,
    bytesPerSecondPerGib: Number.POSITIVE_INFINITY,
  },
  aws: {
    ...common,
    explain502: false,
    perToken: relaxedTraffic,
    // 1, 2, 4, 8 and 16 MB/s for the five sizes (spec section 3.6).
    bytesPerSecondPerGib: 2e6,
    perMicrovm: documentedTraffic,
  },
};

/**
 * Documented by peak vCPU: 8 connections for 1, up to 128 for 16; 40 requests per second for 4, 160 for 16. Whether
 * streams of one connection count like connections is unrecorded; users get rid of 429 by HTTP/2.
 */
function documentedTraffic({ memoryMib }: Pick<Microvm, 'memoryMib'>): TrafficLimits {
  const peakVcpus = Math.max(1, Math.floor(memoryMib / 512));
  return { ...relaxedTraffic, connections: 8 * peakVcpus, requestsPerSecond: 10 * peakVcpus };
}
