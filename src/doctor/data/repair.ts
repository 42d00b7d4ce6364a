import { type Finding, type FindingKind, findingKinds } from './finding.ts';

/** What became of a finding: mended, left as it is because nobody wanted otherwise, not mendable here, or failed. */
export interface Outcome {
  readonly finding: Finding;
  readonly outcome: 'repaired' | 'kept' | 'not-repairable' | 'failed';
  /** Why it failed. */
  readonly error?: string;
}

/** Whether what is wrong in one way is to be mended; asked once for each kind. */
export type Decide = (kind: FindingKind, findings: readonly Finding[]) => Promise<boolean>;

/** Mends what `decide` says, one finding after the other, and goes on after a failure. */
export async function repairFindings(
  findings: readonly Finding[],
  decide: Decide,
  onOutcome: (outcome: Outcome) => void = () => undefined,
): Promise<readonly Outcome[]> {
  const outcomes: Outcome[] = [];
  for (const kind of findingKinds) {
    const ofKind = findings.filter((finding) => finding.kind === kind);
    const mendable = ofKind.filter(({ repair }) => repair !== undefined);
    const wanted = mendable.length > 0 && (await decide(kind, mendable));
    for (const finding of ofKind) {
      const outcome = await mend(finding, wanted);
      outcomes.push(outcome);
      onOutcome(outcome);
    }
  }
  return outcomes;
}

async function mend(finding: Finding, wanted: boolean): Promise<Outcome> {
  if (finding.repair === undefined) return { finding, outcome: 'not-repairable' };
  if (!wanted) return { finding, outcome: 'kept' };
  try {
    await finding.repair.run();
    return { finding, outcome: 'repaired' };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return { finding, outcome: 'failed', error: why };
  }
}
