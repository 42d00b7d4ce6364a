import type { Permissions } from '../model/policy.ts';

/** What a role may do. Times are epoch milliseconds. */
export interface RolePolicyDescription {
  readonly roleName: string;
  readonly arn: string;
  /** Policy document as it was given. */
  readonly policy: string;
  readonly createdAt: number;
  readonly updatedAt: number;
}

/** Policies of roles. Methods throw {@link ServiceError}. */
export interface RolePolicyService {
  put(roleName: string, policy: string): Promise<RolePolicyDescription>;
  list(): Promise<readonly RolePolicyDescription[]>;
  delete(roleName: string): Promise<void>;

  /** Undefined for a role without a policy. */
  find(roleArn: string): Promise<Permissions | undefined>;
  /** The same, where no policy means nothing. */
  permissionsOf(roleArn: string): Promise<Permissions>;
}
