/** Columns and rows of a terminal. */
export interface TerminalSize {
  readonly columns: number;
  readonly rows: number;
}

/** Size of the terminal that output goes to; the usual 80 by 24 when it goes elsewhere, or has no size. */
export function terminalSize(): TerminalSize {
  const { columns, rows } = process.stdout;
  return { columns: columns || 80, rows: rows || 24 };
}

/** Hands every key on unread, where there is a keyboard. @returns what makes the terminal normal again */
export function rawTerminal(): () => void {
  if (!process.stdin.isTTY) return () => undefined;
  process.stdin.setRawMode(true);
  return () => process.stdin.setRawMode(false);
}

/** Tells the size now and whenever it changes. @returns what ends it */
export function followSize(tell: (size: TerminalSize) => void): () => void {
  const onResize = (): void => tell(terminalSize());
  onResize();
  process.stdout.on('resize', onResize);
  return () => process.stdout.off('resize', onResize);
}
