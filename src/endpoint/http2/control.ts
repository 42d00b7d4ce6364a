import { ConnectionError, type ErrorCode, errorCodes } from './errors.ts';
import { largestFrame, largestWindow, settingIds } from './frames.ts';

/** @throws {ConnectionError} of the given code */
export function demand(condition: boolean, code: ErrorCode, what: string): void {
  if (!condition) throw new ConnectionError(code, what);
}

/**
 * What SETTINGS say of the windows of streams; nothing else in them is of interest to a server that sends small
 * frames, pushes nothing and keeps no table.
 * @returns undefined when they do not say it
 * @throws {ConnectionError}
 */
export function readSettings(payload: Buffer): number | undefined {
  demand(payload.length % 6 === 0, errorCodes.frameSize, 'settings that end too soon');
  let initialWindow: number | undefined;
  for (let at = 0; at < payload.length; at += 6) {
    const id = payload.readUInt16BE(at);
    const value = payload.readUInt32BE(at + 2);
    if (id === settingIds.initialWindowSize) {
      demand(value <= largestWindow, errorCodes.flowControl, 'a window too large');
      initialWindow = value;
    } else if (id === settingIds.enablePush || id === settingIds.enableConnectProtocol) {
      demand(value <= 1, errorCodes.protocol, 'neither yes nor no');
    } else if (id === settingIds.maxFrameSize) {
      demand(value >= largestFrame && value < 2 ** 24, errorCodes.protocol, 'an impossible frame size');
    }
  }
  return initialWindow;
}

/** @throws {ConnectionError} */
export function readWindowUpdate(payload: Buffer): number {
  demand(payload.length === 4, errorCodes.frameSize, 'the size of a WINDOW_UPDATE');
  return payload.readUInt32BE() & 0x7fff_ffff;
}
