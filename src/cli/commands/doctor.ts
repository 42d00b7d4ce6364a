import type { Command } from 'commander';
import { locateAssets } from '../../assets.ts';
import { type ConfigInput, loadConfig } from '../../config.ts';
import type { Check } from '../../doctor/check.ts';
import { CliError } from '../errors.ts';
import { print, printJson, style } from '../output.ts';
import { withProgress } from '../progress.ts';
import { examples } from '../remote-command.ts';

interface DoctorOptions {
  readonly json?: true;
  readonly dataDir?: string;
  readonly assetsDir?: string;
}

export function addDoctor(program: Command): void {
  const command = program
    .command('doctor')
    .description('check what the server needs on this machine, and say what to do about what is missing')
    .option('--data-dir <directory>', 'data directory of the server')
    .option('--assets-dir <directory>', 'directory of the files that scripts/setup made')
    .option('--json', 'print JSON instead of text')
    .action(doctor);
  examples(command, 'dormouse doctor');
}

async function doctor(options: DoctorOptions): Promise<void> {
  const flags: Partial<ConfigInput> = {
    ...(options.dataDir === undefined ? {} : { dataDirectory: options.dataDir }),
    ...(options.assetsDir === undefined ? {} : { assetsDirectory: options.assetsDir }),
  };
  const config = loadConfig(flags, process.env);
  const { runDoctor } = await import('../../doctor/doctor.ts');
  const report = await withProgress('examining this machine', async () =>
    runDoctor({ assets: locateAssets(config.assetsDirectory), dataDirectory: config.dataDirectory }),
  );
  if (options.json) printJson(report);
  else for (const check of report.checks) print(lines(check));
  if (!report.ok)
    throw new CliError('This machine cannot run the server yet.', 'See what is marked ✗ above.');
}

function lines(check: Check): string {
  const mark = check.ok ? style('✓', 'green') : check.required ? style('✗', 'red') : style('!', 'yellow');
  const line = `${mark} ${check.name.padEnd(18)} ${check.detail}`;
  return check.remedy === undefined
    ? line
    : `${line}\n  ${' '.repeat(18)} ${style('→', 'cyan')} ${check.remedy}`;
}
