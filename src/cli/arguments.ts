import { InvalidArgumentError } from 'commander';

const unitSeconds: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 };

const longestReadySeconds = 3600;

/** `90`, `90s`, `15m`, `8h` or `2d` in seconds. */
export function parseDuration(text: string): number {
  const [, amount, unit] = /^(\d+)([smhd]?)$/.exec(text) ?? [];
  if (amount === undefined)
    throw new InvalidArgumentError('Expected seconds or a duration such as 90s, 15m, 8h.');
  return Number(amount) * (unitSeconds[unit || 's'] ?? 1);
}

/** A duration, of at most as long as a build waits for an application. */
export function parseReadyTimeout(text: string): number {
  const seconds = parseDuration(text);
  if (seconds >= 1 && seconds <= longestReadySeconds) return seconds;
  throw new InvalidArgumentError(`Expected from 1s to ${longestReadySeconds / 60}m.`);
}

/** `512`, `512M` or `2G` in MiB. */
export function parseMemory(text: string): number {
  const [, amount, unit] = /^(\d+)([MG]?)$/i.exec(text) ?? [];
  if (amount === undefined) throw new InvalidArgumentError('Expected MiB or a size such as 512M, 2G.');
  return Number(amount) * (unit?.toUpperCase() === 'G' ? 1024 : 1);
}

/** A whole number of at least one. */
export function parseCount(text: string): number {
  if (!/^[1-9]\d{0,9}$/.test(text)) throw new InvalidArgumentError('Expected a number of at least 1.');
  return Number(text);
}

/** A number of zero or more, such as `2` or `0.5`. */
export function parseAmount(text: string): number {
  if (!/^\d{1,9}(\.\d{1,6})?$/.test(text))
    throw new InvalidArgumentError('Expected a number such as 2 or 0.5.');
  return Number(text);
}

export function parsePort(text: string): number {
  if (!isPort(text)) throw new InvalidArgumentError('Expected a port from 0 to 65535.');
  return Number(text);
}

export interface PortAndProtocol {
  readonly port: number;
  readonly protocol: 'tcp' | 'udp';
}

/** `6379` or `8125/udp`. */
export function parsePortAndProtocol(text: string): PortAndProtocol {
  const [, port = '', protocol] = /^(\d+)(?:\/(tcp|udp))?$/.exec(text) ?? [];
  if (!isPort(port) || Number(port) === 0) {
    throw new InvalidArgumentError('Expected a port from 1 to 65535, or PORT/udp.');
  }
  return { port: Number(port), protocol: protocol === 'udp' ? 'udp' : 'tcp' };
}

export interface Forwarding {
  readonly guestPort: number;
  /** 0 picks a free one. */
  readonly localPort: number;
  readonly protocol: 'tcp' | 'udp';
}

/** Collects `PORT` or `PORT:LOCAL`, `/udp` after it or not, of a repeated argument. */
export function collectForwarding(text: string, earlier: readonly Forwarding[] | undefined): Forwarding[] {
  const [, guest = '', local = guest, protocol] = /^(\d+)(?::(\d+))?(?:\/(tcp|udp))?$/.exec(text) ?? [];
  if (!isPort(guest) || !isPort(local) || Number(guest) === 0) {
    throw new InvalidArgumentError('Expected PORT or PORT:LOCAL, with /udp after it for datagrams.');
  }
  const forwarding: Forwarding = {
    guestPort: Number(guest),
    localPort: Number(local),
    protocol: protocol === 'udp' ? 'udp' : 'tcp',
  };
  return [...(earlier ?? []), forwarding];
}

function isPort(text: string): boolean {
  return /^\d{1,5}$/.test(text) && Number(text) <= 65_535;
}

/** Collects `KEY=VALUE` of a repeated option. */
export function collectVariables(
  text: string,
  earlier: Readonly<Record<string, string>> | undefined,
): Record<string, string> {
  const mark = text.indexOf('=');
  if (mark < 1) throw new InvalidArgumentError('Expected KEY=VALUE.');
  return { ...earlier, [text.slice(0, mark)]: text.slice(mark + 1) };
}

/** Collects `KEY=VALUE`, or `KEY` of a variable of the environment, if it is there, of a repeated option. */
export function collectOwnVariables(
  text: string,
  earlier: Readonly<Record<string, string>> | undefined,
): Record<string, string> {
  if (text === '' || text.includes('=')) return collectVariables(text, earlier);
  const value = process.env[text];
  return { ...earlier, ...(value === undefined ? {} : { [text]: value }) };
}

/** Collects `NAME=VALUE`, or `NAME` of a variable of the environment, of a repeated `--build-arg`. */
export function collectBuildArguments(
  text: string,
  earlier: Readonly<Record<string, string>> | undefined,
): Record<string, string> {
  if (text.includes('=')) return collectVariables(text, earlier);
  const value = process.env[text];
  if (value === undefined)
    throw new InvalidArgumentError(`${text} is not in the environment: expected NAME=VALUE.`);
  return { ...earlier, [text]: value };
}

/** Collects the values of a repeated option. */
export function collect(text: string, earlier: readonly string[] | undefined): string[] {
  return [...(earlier ?? []), text];
}

const hooks = ['ready', 'validate', 'run', 'suspend', 'resume', 'terminate'] as const;
export type HookOption = (typeof hooks)[number];
export type HookTimeouts = Partial<Record<HookOption, number | undefined>>;

/** Collects `NAME` or `NAME=TIMEOUT` of a repeated `--hook`. */
export function collectHook(text: string, earlier: HookTimeouts | undefined): HookTimeouts {
  const [name = '', timeout] = text.split('=', 2);
  const hook = hooks.find((known) => known === name);
  if (hook === undefined)
    throw new InvalidArgumentError(`Expected one of ${hooks.join(', ')}, or NAME=TIMEOUT.`);
  return { ...earlier, [hook]: timeout === undefined ? undefined : parseDuration(timeout) };
}

/** Where a secret of a build comes from. */
export type SecretSource =
  | { readonly id: string; readonly file: string }
  | { readonly id: string; readonly variable: string };

/** `id=ID,src=FILE` or `id=ID,env=VARIABLE`; ID alone is a file of that name. */
export function collectSecret(text: string, earlier: readonly SecretSource[] = []): readonly SecretSource[] {
  const parts = new Map(
    text.split(',').map((part) => [/^[^=]*/.exec(part)?.[0], part.replace(/^[^=]*=?/, '')]),
  );
  const id = parts.get('id') ?? '';
  if (!/^(?!dormouse-)[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$/.test(id)) {
    throw new InvalidArgumentError('Expected id=ID,src=FILE or id=ID,env=VARIABLE.');
  }
  const unknown = [...parts.keys()].find(
    (key) => !['id', 'type', 'src', 'source', 'env'].includes(key ?? ''),
  );
  if (unknown !== undefined) throw new InvalidArgumentError(`${unknown} is not known here.`);
  if (earlier.some((other) => other.id === id)) throw new InvalidArgumentError(`${id} is given twice.`);
  const variable = parts.get('env');
  if (variable !== undefined) return [...earlier, { id, variable }];
  return [...earlier, { id, file: parts.get('src') ?? parts.get('source') ?? id }];
}
