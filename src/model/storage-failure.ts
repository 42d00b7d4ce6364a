/** What the system's calls, and the store, say when nothing more can be stored. */
const byCode: Readonly<Record<string, string>> = {
  EROFS: 'the file system is read-only',
  ENOSPC: 'the disk is full',
  EDQUOT: 'the disk quota is used up',
  EIO: 'the disk fails',
  ERR_STORE_UNAVAILABLE: 'the metadata store cannot be reached',
};
const bySqliteCode: Readonly<Record<number, string>> = {
  8: 'the file system is read-only',
  10: 'the disk fails',
  13: 'the disk is full',
  14: 'the metadata store cannot be opened',
};
/** Extended result codes have the primary one in their lowest byte. */
const primaryCode = 0xff;

/** Why a disk is the cause of an error, for a person; undefined when it is not. */
export function describeStorageFailure(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  const { code, errcode, cause } = error as Error & { readonly code?: unknown; readonly errcode?: unknown };
  const known = typeof code === 'string' ? byCode[code] : undefined;
  const ofStore = typeof errcode === 'number' ? bySqliteCode[errcode & primaryCode] : undefined;
  return known ?? ofStore ?? describeStorageFailure(cause);
}
