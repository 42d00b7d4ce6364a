import type { UsageSample } from '../../microvms/usage-history.ts';
import { CloudWatchError, type Fields, fieldsOf, listOf, numberOf, textOf } from './input.ts';

/** What is asked of one metric. */
export interface Series {
  readonly metric: string;
  readonly points: readonly Point[];
}

/** All samples of one period. */
export interface Point {
  /** Begin of the period, epoch milliseconds. */
  readonly time: number;
  readonly values: readonly number[];
}

export const namespace = 'AWS/LambdaMicroVMs';
const statistics = {
  Average: (values: readonly number[]) => sum(values) / values.length,
  Sum: sum,
  Minimum: (values: readonly number[]) => Math.min(...values),
  Maximum: (values: readonly number[]) => Math.max(...values),
  SampleCount: (values: readonly number[]) => values.length,
} as const;
type Statistic = keyof typeof statistics;

const valuesOf: Readonly<Record<string, (sample: UsageSample) => number>> = {
  CPUUtilization: ({ cpuPercent }) => cpuPercent,
  MemoryUtilization: ({ memoryPercent }) => memoryPercent,
};

/**
 * The samples of a metric by period; none for a metric or a microVM that there is not, as at the service.
 * @param history samples of a microVM
 */
export function seriesOf(
  metric: Fields,
  periodSeconds: unknown,
  range: { readonly from: number; readonly to: number },
  history: (microvmId: string) => readonly UsageSample[],
): Series {
  const name = textOf(metric.MetricName, 'MetricName');
  const isOurs = textOf(metric.Namespace, 'Namespace') === namespace;
  const period = numberOf(periodSeconds, 'Period');
  if (!Number.isInteger(period) || period < 60 || period % 60 !== 0) {
    throw new CloudWatchError('InvalidParameterValue', 'The parameter Period must be a multiple of 60.');
  }
  const [dimension, ...others] = listOf(metric.Dimensions, 'Dimensions').map((item) => {
    const { Name, Value } = fieldsOf(item, 'Dimensions');
    return { name: textOf(Name, 'Name'), value: textOf(Value, 'Value') };
  });
  const value = Object.hasOwn(valuesOf, name) ? valuesOf[name] : undefined;
  if (!isOurs || value === undefined || dimension?.name !== 'MicrovmId' || others.length > 0) {
    return { metric: name, points: [] };
  }
  const periods = new Map<number, number[]>();
  for (const sample of history(dimension.value)) {
    if (sample.time < range.from || sample.time >= range.to) continue;
    const begin = Math.floor(sample.time / (period * 1000)) * period * 1000;
    const values = periods.get(begin) ?? [];
    values.push(value(sample));
    periods.set(begin, values);
  }
  return { metric: name, points: [...periods].map(([time, values]) => ({ time, values })) };
}

/** @throws {CloudWatchError} for percentiles and others that are not kept */
export function readStatistic(value: unknown): Statistic {
  const name = textOf(value, 'Statistics');
  if (Object.hasOwn(statistics, name)) return name as Statistic;
  throw new CloudWatchError(
    'InvalidParameterValue',
    `The value ${name} for parameter Statistics is not supported; known are ${Object.keys(statistics).join(', ')}.`,
  );
}

export function compute(statistic: Statistic, values: readonly number[]): number {
  return statistics[statistic](values);
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
