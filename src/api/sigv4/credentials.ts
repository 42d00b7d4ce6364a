import type { Permissions } from '../../model/policy.ts';

/** Who a signed request comes from. */
export interface Principal {
  readonly arn: string;
  readonly accountId: string;
  readonly userId: string;
}

export interface Credential {
  readonly secretAccessKey: string;
  readonly principal: Principal;
  readonly permissions: Permissions;
  /** Temporary credentials: the long-lived access key they go back to. */
  readonly issuer?: string | undefined;
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
