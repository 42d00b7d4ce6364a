import type { AppSpec, ExecSpec, GuestName } from './guest-agent.ts';
import { GuestProtocolError } from './guest-agent.ts';
import { field, u32 } from './wire.ts';

const longestField = 0xffff;

/** @throws {GuestProtocolError} an argument or variable is longer than 64 KiB, or holds a NUL */
export function encodeApp(spec: AppSpec): Buffer {
  return Buffer.concat([
    ...common(spec),
    ...spec.supplementaryGids.map((gid) => encodeField(field.group, u32(gid))),
    encodeField(field.hostname, text(spec.hostname)),
    ...(spec.capabilities === 'all' ? [encodeField(field.allCapabilities, Buffer.alloc(0))] : []),
  ]);
}

/** @throws {GuestProtocolError} as {@link encodeApp} */
export function encodeExec(spec: ExecSpec): Buffer {
  return Buffer.concat([
    ...common(spec),
    ...(spec.pty === undefined ? [] : [encodeField(field.pty, u16Pair(spec.pty.columns, spec.pty.rows))]),
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

function common(spec: AppSpec | ExecSpec): Buffer[] {
  return [
    ...spec.argv.map((word) => encodeField(field.argv, text(word))),
    ...Object.entries(spec.env).map(([name, value]) => encodeField(field.env, text(`${name}=${value}`))),
    encodeField(field.workdir, text(spec.workdir)),
    encodeField(field.uid, u32(spec.uid)),
    encodeField(field.gid, u32(spec.gid)),
  ];
}

function text(value: string): Buffer {
  if (value.includes('\0')) throw new GuestProtocolError('a NUL in a process description');
  return Buffer.from(value);
}

function encodeField(tag: number, value: Buffer): Buffer {
  if (value.length > longestField) throw new GuestProtocolError('a process description is too long');
  const head = Buffer.alloc(3);
  head.writeUInt8(tag, 0);
  head.writeUInt16LE(value.length, 1);
  return Buffer.concat([head, value]);
}
