/**
 * Reads the text format of Prometheus: each sample by its name and labels as they are written.
 * @throws what is not in the format, or has no description
 */
export function parseMetrics(text: string): ReadonlyMap<string, number> {
  const samples = new Map<string, number>();
  const described = new Set<string>();
  for (const line of text.split('\n')) {
    const [, type, about] = /^# (HELP|TYPE) (\w+) .+$/.exec(line) ?? [];
    if (type === 'TYPE' && about !== undefined) described.add(about);
    if (line === '' || about !== undefined) continue;
    const [, name = '', labels = '', value = ''] =
      /^([a-z_][a-z0-9_]*)(\{(?:[a-z_]+="(?:[^"\\\n]|\\.)*",?)*\})? (\S+)$/.exec(line) ?? [];
    const number = value === '+Inf' ? Number.POSITIVE_INFINITY : Number(value);
    if (name === '' || (Number.isNaN(number) && value !== 'Nan')) throw new Error(`not a sample: ${line}`);
    if (![name, name.replace(/_(bucket|sum|count)$/, '')].some((known) => described.has(known))) {
      throw new Error(`nobody says what it is: ${line}`);
    }
    if (samples.has(name + labels)) throw new Error(`twice: ${line}`);
    samples.set(name + labels, number);
  }
  return samples;
}
