import type { Count, Duration, Metrics } from '../telemetry/metrics.ts';
import type { Exchange } from './http/exchange.ts';

/** Counts the requests to the API by what they turned out to be. */
export class ApiMetrics {
  readonly #requests: Count;
  readonly #durations: Duration;

  constructor(metrics: Metrics) {
    this.#requests = metrics.count(
      'api_requests_total',
      'Requests to the API, by the status of the answer.',
      ['service', 'operation', 'status'],
    );
    this.#durations = metrics.duration(
      'api_request_duration_seconds',
      'Time from the head of a request to the end of the answer, without streams.',
      ['service', 'operation'],
    );
  }

  /** Watches one request to its end. */
  watch({ response, subject }: Pick<Exchange, 'response' | 'subject'>): void {
    const begun = performance.now();
    response.once('close', () => {
      const { service, operation, streamed } = subject;
      // A client that left before there was an answer; the number is the one that proxies write down.
      const status = response.headersSent ? response.statusCode : 499;
      this.#requests.add(1, service, operation, String(status));
      if (!streamed) this.#durations.observe((performance.now() - begun) / 1000, service, operation);
    });
  }
}
