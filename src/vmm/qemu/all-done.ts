/**
 * Like Promise.all, but when one fails the others are waited for as well: the caller may then remove the files
 * that all of them work on.
 */
export async function allDone<T extends readonly unknown[] | []>(
  work: T,
): Promise<{ -readonly [P in keyof T]: Awaited<T[P]> }> {
  await Promise.allSettled(work);
  return await Promise.all(work);
}
