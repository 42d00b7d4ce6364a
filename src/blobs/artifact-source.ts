/** Where code artifacts come from: the built-in bucket, or an external S3. */
export interface ArtifactSource {
  /**
   * Copies an artifact to a new file.
   * @param uri `s3://<bucket>/<key>`
   * @throws {ArtifactError}
   */
  download(uri: string, toFile: string, signal: AbortSignal): Promise<void>;
}

/** The part of the failure codes of builds that concerns fetching (spec section 3.4). */
export type ArtifactErrorCode =
  | 'S3_ACCESS_DENIED'
  | 'S3_NO_SUCH_KEY'
  | 'S3_NO_SUCH_BUCKET'
  | 'S3_INVALID_OBJECT';

export class ArtifactError extends Error {
  override readonly name = 'ArtifactError';
  readonly code: ArtifactErrorCode;

  constructor(code: ArtifactErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

export interface ArtifactLocation {
  readonly bucket: string;
  readonly key: string;
}

/** Undefined unless `uri` has the form `s3://<bucket>/<key>`. */
export function parseArtifactUri(uri: string): ArtifactLocation | undefined {
  const match = /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])\/(.+)$/s.exec(uri);
  const [, bucket, key] = match ?? [];
  return bucket === undefined || key === undefined ? undefined : { bucket, key };
}
