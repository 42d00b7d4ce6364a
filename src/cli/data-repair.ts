import { createInterface } from 'node:readline/promises';
import { type DataKind, type Finding, type FindingKind, isDataKind } from '../doctor/data/finding.ts';
import { type Outcome, repairFindings } from '../doctor/data/repair.ts';
import { CliError } from './errors.ts';
import { note, print, printJson, style } from './output.ts';

interface RepairOptions {
  readonly json?: true;
  readonly yes?: true;
  readonly delete?: readonly DataKind[];
}

/**
 * Mends what a person wants mended of what was found, and says what was done.
 * @throws {CliError} something could not be mended that should have been
 */
export async function repairData(findings: readonly Finding[], options: RepairOptions): Promise<void> {
  const say = options.json ? note : print;
  if (!options.json) for (const finding of findings) print(findingLines(finding));
  if (findings.length === 0) say('All that the server keeps is as it should be.');
  const outcomes = await repairFindings(
    findings,
    (kind, ofKind) => decide(kind, ofKind, options),
    (outcome) => (options.json ? undefined : tell(outcome)),
  );
  const ok = outcomes.every(({ outcome, finding }) => outcome !== 'failed' && finding.kind !== 'database');
  if (options.json) {
    const list = outcomes.map(({ finding, ...outcome }) => ({ ...toJson(finding), ...outcome }));
    printJson({ ok, findings: list });
  }
  if (!ok) throw new CliError('Not all could be mended.', 'See what is said above.');
}

async function decide(
  kind: FindingKind,
  findings: readonly Finding[],
  options: RepairOptions,
): Promise<boolean> {
  if (isDataKind(kind) ? options.delete?.includes(kind) : options.yes) return true;
  if (options.json || !process.stdin.isTTY) return false;
  const orders = findings.map(({ repair }) => `  ${repair?.does}`).join('\n');
  const loss = isDataKind(kind) ? ` ${style('What they hold is lost.', 'red')}` : '';
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await terminal.question(`${kind}:\n${orders}\n${loss}Do that? [y/N] `);
    return /^y(es)?$/i.test(answer.trim());
  } finally {
    terminal.close();
  }
}

function tell({ finding, outcome, error }: Outcome): void {
  const does = finding.repair?.does ?? '';
  if (outcome === 'repaired') print(`${style('✓', 'green')} done: ${does}`);
  else if (outcome === 'failed') print(`${style('✗', 'red')} could not ${does}: ${error}`);
  else if (outcome === 'kept') {
    const flag = isDataKind(finding.kind) ? `--delete ${finding.kind}` : '--yes';
    print(`${style('–', 'yellow')} left as it is: ${finding.subject} (${flag} would ${does})`);
  }
}

export function findingLines({ kind, subject, detail, remedy }: Finding): string {
  const mark = kind === 'database' || isDataKind(kind) ? style('✗', 'red') : style('!', 'yellow');
  const line = `${mark} ${kind.padEnd(18)} ${subject}: ${detail}`;
  return remedy === undefined ? line : `${line}\n  ${' '.repeat(18)} ${style('→', 'cyan')} ${remedy}`;
}

export function toJson({ kind, subject, detail, remedy, repair }: Finding) {
  return { kind, subject, detail, remedy: remedy ?? null, repair: repair?.does ?? null };
}
