import type { S3Request } from './s3-request.ts';

/** One request of S3 that is answered. */
export interface S3Route {
  readonly method: string;
  readonly level: 'service' | 'bucket' | 'object';
  /** Query parameter that has to be there. */
  readonly parameter?: string;
  /** Header that has to be there. */
  readonly header?: string;
  /** What the caller has to be allowed on the bucket or object; undefined where the answer judges by itself. */
  readonly action: string | undefined;
  readonly answer: (request: S3Request) => Promise<void>;
}
