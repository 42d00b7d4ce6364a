import { constants } from 'node:os';
import { type AppStatus, GuestProtocolError, type GuestStats } from './guest-agent.ts';

const names = new Map(Object.entries(constants.errno).map(([name, value]) => [value, name]));

/** Name of a Linux error number such as `ECONNREFUSED`. */
export function errnoName(errno: number): string {
  return names.get(errno) ?? `errno ${errno}`;
}

/** @throws {GuestProtocolError} */
export function decodeAppStatus(bytes: Buffer): AppStatus {
  if (bytes.length !== 9) throw new GuestProtocolError('malformed application status');
  switch (bytes[0]) {
    case 0:
      return { state: 'not-started' };
    case 1:
      return { state: 'running' };
    case 2:
      return { state: 'exited', code: bytes.readUInt32LE(1), signal: bytes.readUInt32LE(5) };
    default:
      throw new GuestProtocolError('unknown application state');
  }
}

/** @throws {GuestProtocolError} */
export function decodeStats(bytes: Buffer): GuestStats {
  if (bytes.length !== 32) throw new GuestProtocolError('malformed statistics');
  const [total = 0, available = 0, busyMs = 0, upMs = 0] = [0, 8, 16, 24].map((at) =>
    Number(bytes.readBigUInt64LE(at)),
  );
  return {
    memoryTotalBytes: total,
    memoryAvailableBytes: available,
    cpuSeconds: busyMs / 1000,
    uptimeSeconds: upMs / 1000,
  };
}

/** @throws {GuestProtocolError} */
export function decodePorts(bytes: Buffer): readonly number[] {
  if (bytes.length % 2 !== 0) throw new GuestProtocolError('malformed list of ports');
  const ports = Array.from({ length: bytes.length / 2 }, (_, index) => bytes.readUInt16LE(index * 2));
  return [...new Set(ports)].sort((a, b) => a - b);
}
