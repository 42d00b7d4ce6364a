import type { Permissions } from '../../model/policy.ts';

/** Who a signed request comes from. */
export interface Principal {
  readonly arn: string;
  readonly accountId: string;
  readonly userId: string;
}

/** What temporary credentials go back to, and end with. */
export interface SessionOrigin {
  /** The long-lived access key they were asked for with; those of a microVM's role have none. */
  readonly issuer?: string | undefined;
  /** ARN of the role whose policy says what they may do; without one they may do what the issuer may. */
  readonly role?: string | undefined;
}

export interface Credential {
  readonly secretAccessKey: string;
  readonly principal: Principal;
  readonly permissions: Permissions;
  /** Temporary credentials: what they go back to. */
  readonly origin?: SessionOrigin | undefined;
  /** Temporary credentials: the token every request must carry. */
  readonly sessionToken?: string | undefined;
  /** Temporary credentials: epoch milliseconds of their end. */
  readonly expiresAt?: number | undefined;
}

export interface CredentialSource {
  /**
   * The credential of an access key, or undefined for an unknown one.
   * @param sessionToken what the request carries, for sources whose tokens hold the credential sealed
   */
  lookup(accessKeyId: string, sessionToken: string | undefined): Promise<Credential | undefined>;
}
