import { stripVTControlCharacters, styleText } from 'node:util';

type Style = 'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'cyan';

/** Text in a style where the stream is a terminal that wants it (`NO_COLOR` is respected). */
export function style(text: string, format: Style, stream: NodeJS.WriteStream = process.stdout): string {
  return styleText(format, text, { stream });
}

const stateStyles: Readonly<Record<string, Style>> = {
  RUNNING: 'green',
  SUCCESSFUL: 'green',
  CREATED: 'green',
  UPDATED: 'green',
  SUSPENDED: 'cyan',
  TERMINATED: 'dim',
  FAILED: 'red',
  CREATE_FAILED: 'red',
  UPDATE_FAILED: 'red',
  DELETE_FAILED: 'red',
};

export function stateText(state: string | undefined): string {
  const text = state ?? '-';
  return style(text, stateStyles[text] ?? 'yellow');
}

/**
 * Rows in columns, two spaces apart, under bold headings. Control characters are taken out of cells, because
 * some of them come from guests.
 */
export function table(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = headings.map((heading, column) =>
    Math.max(heading.length, ...rows.map((row) => stripVTControlCharacters(row[column] ?? '').length)),
  );
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, column) => {
        const missing = (widths[column] ?? 0) - stripVTControlCharacters(cell).length;
        return column === cells.length - 1 ? cell : cell + ' '.repeat(missing);
      })
      .join('  ')
      .trimEnd();
  return [line(headings.map((heading) => style(heading, 'bold'))), ...rows.map(line)].join('\n');
}

/** Text from outside without what could steer a terminal. */
export function harmless(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it is about
  return stripVTControlCharacters(text).replace(/[\x00-\x08\x0b-\x1f\x7f-\x9f]/g, '');
}

export function printJson(value: unknown): void {
  print(JSON.stringify(value, null, 2));
}

export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** A remark for people; it stays out of what other programs read. */
export function note(text: string): void {
  process.stderr.write(`${text}\n`);
}

const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const;

export function bytes(value: number | null | undefined): string {
  if (value === null || value === undefined) return '-';
  let amount = value;
  let unit = 0;
  while (amount >= 1024 && unit < units.length - 1) {
    amount /= 1024;
    unit += 1;
  }
  return `${amount >= 100 || unit === 0 ? Math.round(amount) : amount.toFixed(1)} ${units[unit]}`;
}

/** Time since, in its largest unit. */
export function age(since: Date | undefined, now = Date.now()): string {
  if (since === undefined) return '-';
  const seconds = Math.max(0, Math.floor((now - since.getTime()) / 1000));
  if (seconds < 120) return `${seconds}s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)}m`;
  if (seconds < 172_800) return `${Math.floor(seconds / 3600)}h`;
  return `${Math.floor(seconds / 86_400)}d`;
}
