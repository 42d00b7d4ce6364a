import type { Clock } from '../../model/clock.ts';
import type { Microvm } from '../../model/microvm.ts';

/** Temporary credentials of a role. */
export interface RoleCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken: string;
  /** Epoch milliseconds. */
  readonly expiresAt: number;
}

/**
 * Makes credentials of a role for a session.
 * @param expiresAt epoch milliseconds; when they should end
 */
export type AssumeRole = (
  roleArn: string,
  sessionName: string,
  expiresAt: number,
) => Promise<RoleCredentials>;

/** From the launch of the microVM on (spec section 8). */
const lifetimeMs = 55 * 60_000;
/** Unrecorded; clients renew credentials a few minutes before their end, and have to find fresh ones then. */
const renewedBeforeEndMs = 5 * 60_000;
/** How long a guest is told of the same failure before the role is tried again. */
const failureMs = 5000;

/** Credentials as a guest is told of them. */
export interface DatedCredentials extends RoleCredentials {
  /** Epoch milliseconds. */
  readonly issuedAt: number;
}

interface Known {
  readonly credentials: Promise<DatedCredentials>;
  /** Until when they are given out, epoch milliseconds. */
  goodUntil: number;
}

/** Credentials of the roles that microVMs run under: the same for each until shortly before they end. */
export class ExecutionRoleCredentials {
  readonly #assume: AssumeRole;
  readonly #clock: Pick<Clock, 'now'>;
  readonly #known = new Map<string, Known>();

  constructor(assume: AssumeRole, clock: Pick<Clock, 'now'>) {
    this.#assume = assume;
    this.#clock = clock;
  }

  /** @throws what the maker of the credentials throws */
  async of(microvm: Pick<Microvm, 'microvmId' | 'startedAt'>, roleArn: string): Promise<DatedCredentials> {
    const { microvmId, startedAt } = microvm;
    const now = this.#clock.now();
    const known = this.#known.get(microvmId);
    if (known !== undefined && known.goodUntil > now) return await known.credentials;
    const firstEnd = startedAt + lifetimeMs;
    const endsAt = firstEnd - renewedBeforeEndMs > now ? firstEnd : now + lifetimeMs;
    const fresh: Known = {
      credentials: this.#assume(roleArn, microvmId, endsAt).then((made) => ({ ...made, issuedAt: now })),
      goodUntil: endsAt - renewedBeforeEndMs,
    };
    this.#known.set(microvmId, fresh);
    try {
      const { expiresAt } = await fresh.credentials;
      fresh.goodUntil = Math.min(fresh.goodUntil, expiresAt - renewedBeforeEndMs);
    } catch {
      fresh.goodUntil = this.#clock.now() + failureMs;
    }
    return await fresh.credentials;
  }

  /** Drops what is kept of a microVM that has ended. */
  forget(microvmId: string): void {
    this.#known.delete(microvmId);
  }
}
