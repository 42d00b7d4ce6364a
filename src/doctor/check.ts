/** One need of the server, as found on this machine. */
export interface Check {
  readonly name: string;
  /** False: either the server cannot work (`required`), or it works less well than it could. */
  readonly ok: boolean;
  readonly required: boolean;
  /** What was found. */
  readonly detail: string;
  /** What a person can do about it; absent when there is nothing to do. */
  readonly remedy?: string;
}

export interface DoctorReport {
  /** Whether every required check is ok. */
  readonly ok: boolean;
  readonly checks: readonly Check[];
}

export const setupRemedy = 'run scripts/setup';

/** A check whose inspection failed is a failed check: a doctor never rejects. */
export async function inspect(
  name: string,
  required: boolean,
  look: () => Promise<Omit<Check, 'name' | 'required'>>,
): Promise<Check> {
  try {
    return { name, required, ...(await look()) };
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error);
    return { name, required, ok: false, detail };
  }
}
