import type { ServerResponse } from 'node:http';
import { notImplemented } from '../../errors.ts';
import type { Metrics } from '../../telemetry/metrics.ts';
import { type Api, defineOperation, StreamedAnswer } from '../operation.ts';
import { structure } from '../shapes/shape.ts';

/** The server's figures in the text format of Prometheus; what `/metrics` gives without a signature. */
export const readMetrics = defineOperation({
  name: 'ReadMetrics',
  method: 'GET',
  path: '/dormouse/v1/metrics',
  status: 200,
  input: structure({}),
  async handle(_input, { api }) {
    const metrics = metricsOf(api);
    if (metrics === undefined) throw notImplemented('Reading metrics');
    return new StreamedAnswer((response) => sendMetrics(response, metrics));
  },
});

/** Undefined where they are switched off. */
export function metricsOf({ services, options }: Api): Metrics | undefined {
  return options.metricsAccess === 'off' ? undefined : services.metrics;
}

export async function sendMetrics(response: ServerResponse, metrics: Metrics): Promise<void> {
  const text = await metrics.text();
  response
    .writeHead(200, { 'content-type': metrics.contentType, 'content-length': Buffer.byteLength(text) })
    .end(text);
}
