import { type Command, Option } from 'commander';
import { locateAssets } from '../../assets.ts';
import { type Config, type ConfigInput, loadConfig } from '../../config.ts';
import type { Examination } from '../../doctor/data/examine-data.ts';
import { dataKinds } from '../../doctor/data/finding.ts';
import type { Check } from '../../doctor/doctor.ts';
import { findingLines, repairData, toJson } from '../data-repair.ts';
import { CliError, UsageError } from '../errors.ts';
import { print, printJson, style } from '../output.ts';
import { withProgress } from '../progress.ts';
import { examples } from '../remote-command.ts';

interface DoctorOptions {
  readonly json?: true;
  readonly dataDir?: string;
  readonly assetsDir?: string;
  readonly repair?: true;
  readonly yes?: true;
  readonly delete?: readonly (typeof dataKinds)[number][];
}

export function addDoctor(program: Command): void {
  const command = program
    .command('doctor')
    .description('check what the server needs on this machine and, while it is stopped, all of what it keeps')
    .option('--data-dir <directory>', 'data directory of the server')
    .option('--assets-dir <directory>', 'directory of the files that scripts/setup made')
    .option('--repair', 'mend what the server keeps; asks before each kind of repair')
    .option('--yes', 'with --repair: do not ask about repairs that cost nothing which somebody made')
    .addOption(
      new Option(
        '--delete <kind...>',
        'with --repair: give up, without asking, what is beyond repair of this kind',
      ).choices(dataKinds),
    )
    .option('--json', 'print JSON instead of text')
    .action(doctor);
  examples(
    command,
    'dormouse doctor',
    'dormouse doctor --repair',
    'dormouse doctor --repair --yes --delete damaged-microvm --json',
  );
}

async function doctor(options: DoctorOptions): Promise<void> {
  const flags: Partial<ConfigInput> = {
    ...(options.dataDir === undefined ? {} : { dataDirectory: options.dataDir }),
    ...(options.assetsDir === undefined ? {} : { assetsDirectory: options.assetsDir }),
  };
  if (!options.repair && (options.yes || options.delete)) {
    throw new UsageError('--yes and --delete belong to --repair.');
  }
  const config = loadConfig(flags, process.env);
  if (options.repair) await repair(config, options);
  else await examine(config, options);
}

async function examine(config: Config, { json }: DoctorOptions): Promise<void> {
  const { runDoctor } = await import('../../doctor/doctor.ts');
  const report = await withProgress('examining this machine', async () =>
    runDoctor({ assets: locateAssets(config.assetsDirectory), dataDirectory: config.dataDirectory }),
  );
  const data = await openData(config);
  await data?.close();
  if (json) printJson({ ...report, findings: data?.findings.map(toJson) ?? null });
  else {
    for (const check of report.checks) print(lines(check));
    if (data === undefined) print(lines(serverRuns(config)));
    for (const finding of data?.findings ?? []) print(findingLines(finding));
  }
  if (!report.ok)
    throw new CliError('This machine cannot run the server yet.', 'See what is marked ✗ above.');
}

async function repair(config: Config, options: DoctorOptions): Promise<void> {
  const data = await openData(config);
  if (data === undefined) {
    throw new CliError(
      `A server works on ${config.dataDirectory}: nothing was looked at and nothing changed.`,
      'Stop it first. MicroVMs that run go on meanwhile.',
    );
  }
  try {
    await repairData(data.findings, options);
  } finally {
    await data.close();
  }
}

async function openData(config: Config): Promise<Examination | undefined> {
  const { openData: open } = await import('../../doctor/data/open-data.ts');
  return await withProgress('reading what the server keeps', () =>
    open({
      dataDirectory: config.dataDirectory,
      helper: locateAssets(config.assetsDirectory).memoryDifference,
      now: Date.now,
    }),
  );
}

function serverRuns({ dataDirectory }: Config): Check {
  return {
    name: 'data',
    ok: true,
    required: false,
    detail: `not looked at: a server works on ${dataDirectory}; it marks damaged versions by itself`,
  };
}

function lines(check: Check): string {
  const mark = check.ok ? style('✓', 'green') : check.required ? style('✗', 'red') : style('!', 'yellow');
  const line = `${mark} ${check.name.padEnd(18)} ${check.detail}`;
  return check.remedy === undefined
    ? line
    : `${line}\n  ${' '.repeat(18)} ${style('→', 'cyan')} ${check.remedy}`;
}
