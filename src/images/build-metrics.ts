import type { Metrics } from '../telemetry/metrics.ts';
import type { ImageBuilder } from './image-builder.ts';

/** A builder whose builds are timed. */
export function measured(builder: ImageBuilder, metrics: Metrics): ImageBuilder {
  const durations = metrics.duration(
    'image_build_duration_seconds',
    'Time that a build of an image version took, without its time in the queue.',
    ['outcome'],
  );
  return {
    ...builder,
    async build(record, signal) {
      const begun = performance.now();
      const observe = (outcome: string): void =>
        durations.observe((performance.now() - begun) / 1000, outcome);
      try {
        const outcome = await builder.build(record, signal);
        observe(outcome.type === 'successful' ? 'success' : 'failed');
        return outcome;
      } catch (error) {
        observe(signal.aborted ? 'interrupted' : 'failed');
        throw error;
      }
    },
  };
}
