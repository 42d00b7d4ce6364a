import { harmless, style } from './output.ts';

/** As the server tells where the time of a transition went. */
export interface Trace {
  readonly durationMs: number;
  readonly steps: readonly {
    readonly name: string;
    readonly startMs: number;
    readonly durationMs: number;
    readonly failed: boolean;
  }[];
}

const barColumns = 32;

/** A trace as lines: each step with when it began, how long it took, and both drawn to scale. */
export function waterfall(title: string, { durationMs, steps }: Trace): string {
  const names = steps.map((step) => harmless(step.failed ? `${step.name} (failed)` : step.name));
  const width = Math.max(title.length, ...names.map((name) => name.length));
  const lines = steps.map((step, index) => {
    const times = `${shown(step.startMs)}  ${shown(step.durationMs)}`;
    return `  ${(names[index] ?? '').padEnd(width)}  ${times}  ${style(bar(step, durationMs), 'cyan')}`;
  });
  const heading = `${style(title.padEnd(width), 'bold')}  ${style('at ms'.padStart(7), 'dim')}  ${shown(durationMs)} ms`;
  return [`  ${heading}`, ...lines].join('\n');
}

function bar(step: Trace['steps'][number], total: number): string {
  const column = (ms: number): number =>
    Math.min(barColumns, Math.max(0, Math.round((ms / Math.max(total, 1e-6)) * barColumns)));
  const from = Math.min(column(step.startMs), barColumns - 1);
  const length = Math.max(1, column(step.startMs + step.durationMs) - from);
  return ' '.repeat(from) + '█'.repeat(length);
}

function shown(ms: number): string {
  return ms.toFixed(1).padStart(7);
}
