import type { UsageSample } from '../../microvms/usage-history.ts';
import { CborTime, type CborValue } from '../cbor/encode.ts';
import { CloudWatchError, type Fields, fieldsOf, listOf, textOf, timeOf } from './input.ts';
import { compute, readStatistic, seriesOf } from './series.ts';

type History = (microvmId: string) => readonly UsageSample[];

export interface CloudWatchAction {
  readonly name: string;
  /** @throws {CloudWatchError} */
  run(input: Fields, history: History): Readonly<Record<string, CborValue>>;
}

/** What is served of CloudWatch: what a microVM used of its processors and its memory. */
export const cloudWatchActions: readonly CloudWatchAction[] = [
  { name: 'GetMetricStatistics', run: getMetricStatistics },
  { name: 'GetMetricData', run: getMetricData },
];

function getMetricStatistics(input: Fields, history: History): Readonly<Record<string, CborValue>> {
  const wanted = listOf(input.Statistics, 'Statistics').map(readStatistic);
  if (wanted.length === 0) throw new CloudWatchError('MissingParameter', 'Statistics are required.');
  const { metric, points } = seriesOf(input, input.Period, rangeOf(input), history);
  return {
    Label: metric,
    Datapoints: points.map(({ time, values }) => ({
      Timestamp: new CborTime(time),
      ...Object.fromEntries(wanted.map((statistic) => [statistic, compute(statistic, values)])),
      Unit: 'Percent',
    })),
  };
}

function getMetricData(input: Fields, history: History): Readonly<Record<string, CborValue>> {
  const range = rangeOf(input);
  const ascending = input.ScanBy === 'TimestampAscending';
  const queries = listOf(input.MetricDataQueries, 'MetricDataQueries').map((item) =>
    fieldsOf(item, 'MetricDataQueries'),
  );
  if (queries.length === 0) throw new CloudWatchError('MissingParameter', 'MetricDataQueries are required.');
  const results = queries.map((query) => {
    if (query.Expression !== undefined) {
      throw new CloudWatchError('InvalidParameterValue', 'Expressions are not supported by this server.');
    }
    const stat = fieldsOf(query.MetricStat, 'MetricStat');
    const statistic = readStatistic(stat.Stat);
    const series = seriesOf(fieldsOf(stat.Metric, 'Metric'), stat.Period, range, history);
    const points = ascending ? series.points : series.points.toReversed();
    return {
      Id: textOf(query.Id, 'Id'),
      Label: query.Label === undefined ? series.metric : textOf(query.Label, 'Label'),
      Timestamps: points.map(({ time }) => new CborTime(time)),
      Values: points.map(({ values }) => compute(statistic, values)),
      StatusCode: 'Complete',
    };
  });
  return { MetricDataResults: results, Messages: [] };
}

function rangeOf(input: Fields): { readonly from: number; readonly to: number } {
  const from = timeOf(input.StartTime, 'StartTime');
  const to = timeOf(input.EndTime, 'EndTime');
  if (from < to) return { from, to };
  throw new CloudWatchError(
    'InvalidParameterValue',
    'The parameter StartTime must be less than the parameter EndTime.',
  );
}
