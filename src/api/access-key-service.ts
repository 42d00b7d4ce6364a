/** Access keys besides the root key. Times are epoch milliseconds. */

export interface AccessKeyDescription {
  readonly name: string;
  /** The principal its requests come from. */
  readonly arn: string;
  readonly accessKeyId: string;
  /** Policy document as it was given. */
  readonly policy: string;
  readonly createdAt: number;
  readonly rotatedAt: number | null;
}

export interface IssuedAccessKey extends AccessKeyDescription {
  readonly secretAccessKey: string;
}

/** Methods throw {@link ServiceError}. */
export interface AccessKeyService {
  create(name: string, policy: string): Promise<IssuedAccessKey>;
  list(): Promise<readonly AccessKeyDescription[]>;
  /** Replaces id and secret; what was signed with the old ones is refused from then on. */
  rotate(name: string): Promise<IssuedAccessKey>;
  delete(name: string): Promise<void>;
}
