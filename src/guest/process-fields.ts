import { type AppSpec, ExecError, type ExecSpec, type GuestName } from './guest-agent.ts';
import { field, fieldContinued, u32 } from './wire.ts';

const longestField = 0xffff;
/** What Linux takes: of one argument or variable with its end, and of all of them together. */
const longestWord = 128 * 1024 - 1;
const longestWords = 2 * 1024 * 1024;

/** @throws {ExecError} E2BIG: arguments and variables are more than Linux takes; EINVAL: one holds a NUL */
export function encodeApp(spec: AppSpec): Buffer {
  return bounded([
    ...words(spec),
    ...(spec.argv.length === 0 ? encodeField(field.hold, Buffer.alloc(0)) : []),
    ...encodeField(field.workdir, text(spec.workdir)),
    ...encodeField(field.uid, u32(spec.uid)),
    ...encodeField(field.gid, u32(spec.gid)),
    ...spec.supplementaryGids.flatMap((gid) => encodeField(field.group, u32(gid))),
    ...encodeField(field.hostname, text(spec.hostname)),
    ...(spec.capabilities === 'all' ? encodeField(field.allCapabilities, Buffer.alloc(0)) : []),
  ]);
}

/** @throws {ExecError} as {@link encodeApp} */
export function encodeExec({ argv, env = {}, workdir, user, pty, detach }: ExecSpec): Buffer {
  return bounded([
    ...words({ argv, env }),
    ...encodeField(field.likeApp, Buffer.alloc(0)),
    ...(workdir === undefined ? [] : encodeField(field.workdir, text(workdir))),
    ...(user === undefined ? [] : encodeField(field.user, text(user))),
    ...(detach === true ? encodeField(field.detach, Buffer.alloc(0)) : []),
    ...(pty === undefined ? [] : encodeField(field.pty, u16Pair(pty.columns, pty.rows))),
  ]);
}

export function encodeName({ bootId, machineId, hostname }: GuestName): Buffer {
  return Buffer.concat([bootId, machineId, text(hostname)]);
}

export function u16Pair(first: number, second: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt16LE(first & 0xffff, 0);
  bytes.writeUInt16LE(second & 0xffff, 2);
  return bytes;
}

function words({ argv, env }: Pick<AppSpec, 'argv' | 'env'>): Buffer[] {
  return [
    ...argv.flatMap((word) => encodeField(field.argv, text(word))),
    ...Object.entries(env).flatMap(([name, value]) => encodeField(field.env, text(`${name}=${value}`))),
  ];
}

function text(value: string): Buffer {
  if (value.includes('\0')) throw new ExecError('EINVAL', 'an argument or variable holds a NUL');
  const bytes = Buffer.from(value);
  if (bytes.length > longestWord) {
    throw new ExecError(
      'E2BIG',
      `an argument or variable is longer than ${longestWord} bytes, the most that Linux takes`,
    );
  }
  return bytes;
}

function bounded(fields: readonly Buffer[]): Buffer {
  const all = Buffer.concat(fields);
  if (all.length > longestWords) {
    throw new ExecError(
      'E2BIG',
      `arguments and variables are longer than ${longestWords} bytes together, the most that Linux takes`,
    );
  }
  return all;
}

/** More than one field where the value is longer than one holds. */
function encodeField(tag: number, value: Buffer): Buffer[] {
  const fields: Buffer[] = [];
  for (let at = 0; at === 0 || at < value.length; at += longestField) {
    const part = value.subarray(at, at + longestField);
    const head = Buffer.alloc(3);
    head.writeUInt8(at + longestField < value.length ? tag | fieldContinued : tag, 0);
    head.writeUInt16LE(part.length, 1);
    fields.push(head, part);
  }
  return fields;
}
