import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { cloudWatchActions } from '../../../src/api/cloudwatch/actions.ts';
import { extensionOperations } from '../../../src/api/extensions/index.ts';
import { iamActions } from '../../../src/api/iam/answer.ts';
import { logsActions } from '../../../src/api/logs/actions.ts';
import { operations } from '../../../src/api/operations/index.ts';
import { quotasActions } from '../../../src/api/quotas/actions.ts';
import type { Members } from '../../../src/api/shapes/shape.ts';
import { stsActions } from '../../../src/api/sts/actions.ts';
import { limits } from '../../../src/model/limits.ts';
import { httpStatus } from '../../../src/service-error.ts';
import { endpointChoices, iamIntroduction, introduction, s3Operations, standing } from './facts.ts';
import { findMarks } from './marks.ts';
import { memberRows } from './members.ts';

const root = fileURLToPath(new URL('../../..', import.meta.url));

export const compatibilityFile = path.join(root, 'docs', 'compatibility.md');

interface Described {
  readonly name: string;
  readonly method?: string;
  readonly path?: string;
  readonly status?: number;
  readonly members: Members;
}

/** The whole of docs/compatibility.md. */
export async function compatibilityText(): Promise<string> {
  const marks = await findMarks(root);
  const sections = [
    introduction,
    '## Operations of the service',
    table(
      ['Operation', 'Request', 'Status', 'Compared with the service'],
      operations.map((operation) => [...requestCells(operation), standing(operation.name)]),
    ),
    '## Extensions',
    'Below `/dormouse/v1/`, signed like everything else; the service has none of them.',
    table(['Operation', 'Request', 'Status'], extensionOperations.map(requestCells)),
    '## STS',
    table(
      ['Action', 'Compared with the service'],
      stsActions.map(({ name }) => [code(name), standing(name)]),
    ),
    '## IAM',
    iamIntroduction,
    table(
      ['Action', 'Compared with the service'],
      iamActions.map(({ name }) => [code(name), standing(name)]),
    ),
    '## CloudWatch Logs',
    'AWS JSON 1.1. Other operations answer `UnknownOperationException`. Clients put `streaming-` before the host name for `StartLiveTail`; `dormouse env` tells boto3 and the AWS CLI not to; the JavaScript client takes `disableHostPrefix: true`.',
    table(
      ['Operation', 'Compared with the service'],
      logsActions.map(({ name }) => [code(name), standing(name)]),
    ),
    '## S3',
    'What tools use for artifacts, addressed by path.',
    list(s3Operations),
    '## CloudWatch',
    'RPC v2 CBOR, AWS JSON 1.0 and query. `CPUUtilization` and `MemoryUtilization` in percent of the size, in the namespace `AWS/LambdaMicroVMs` with the dimension `MicrovmId`: one sample a minute while the microVM runs, for three hours, in memory only (extension: the service documents no such metrics). Statistics are `Average`, `Sum`, `Minimum`, `Maximum` and `SampleCount`.',
    table(
      ['Operation', 'Compared with the service'],
      cloudWatchActions.map(({ name }) => [code(name), standing(name)]),
    ),
    '## Service Quotas',
    'AWS JSON 1.1, for the quotas of microVMs whose codes are known: rates of RunMicrovm, SuspendMicrovm, ResumeMicrovm and TerminateMicrovm, allocated memory, longest duration. A rate that is not limited is no quota.',
    table(
      ['Operation', 'Compared with the service'],
      quotasActions.map(({ name }) => [code(name), standing(name)]),
    ),
    '## Other services',
    'A request that is signed for any other service answers that it is not offered here, in the protocol of that service: AWS JSON, query, EC2, REST in JSON or XML, RPC v2 CBOR.',
    '## Errors',
    'Types and statuses of the REST-JSON services. The other protocols name the same failures in their own way.',
    table(['Type', 'Status'], errorRows()),
    '## Limits by profile',
    table(['Limit', ...Object.keys(limits).map(code)], limitRows()),
    '## Unrecorded choices',
    'Nobody has recorded what the service does here. The choice is ours, and follows the service once it is known.',
    table(
      ['Where', 'What', 'Note'],
      marks.map(({ file, place, comment }) => [code(file), code(place), cell(comment)]),
    ),
    'At the endpoint and in builds, besides:',
    list(endpointChoices),
    '## Members of requests',
    ...[
      ...operations,
      ...extensionOperations,
      ...stsActions,
      ...iamActions,
      ...logsActions,
      ...quotasActions,
    ].flatMap(memberSection),
  ];
  return `${sections.join('\n\n')}\n`;
}

function requestCells({ name, method, path: at, status }: Described): string[] {
  return [code(name), code(`${method} ${at}`), String(status)];
}

function memberSection({ name, members }: Described): string[] {
  const rows = memberRows(members).map((row) => [
    code(row.name),
    row.location,
    row.required ? 'yes' : '',
    cell(row.constraints),
  ]);
  if (rows.length === 0) return [`### ${name}`, 'None.'];
  return [`### ${name}`, table(['Member', 'In', 'Required', 'Constraints'], rows)];
}

function errorRows(): string[][] {
  return Object.entries(httpStatus).map(([type, status]) => [code(type), String(status)]);
}

function limitRows(): string[][] {
  const [first] = Object.values(limits);
  return Object.keys(first ?? {}).map((name) => [
    code(name),
    ...Object.values(limits).map((of) => {
      const value: unknown = Object.getOwnPropertyDescriptor(of, name)?.value;
      if (value === undefined) return 'any';
      return cell(typeof value === 'object' ? JSON.stringify(value) : String(value));
    }),
  ]);
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

function list(items: readonly string[]): string {
  return items.map((item) => `- ${item}`).join('\n');
}

function code(text: string): string {
  return `\`${text}\``;
}

function cell(text: string): string {
  return text.replaceAll(/(?<!\\)\|/g, '\\|');
}
