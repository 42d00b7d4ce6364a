/**
 * What the builder itself says at its end, without what steps printed and without the step that it quotes: both are a
 * stranger's words, and must not decide whose fault it is. Empty when it says nothing.
 */
export function builderComplaint(stderr: string): string {
  const last = stderr
    .trimEnd()
    .split('\n')
    .findLast((line) => line.startsWith('Error: '));
  return (last ?? '').replace(/STEP "(?:[^"\\]|\\.)*"/, 'STEP');
}
