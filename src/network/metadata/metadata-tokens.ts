import { createHmac, timingSafeEqual } from 'node:crypto';

/** Longest life of a token in seconds; six hours. */
export const longestTokenSeconds = 21_600;

const macBytes = 32;
const timeBytes = 6;

/** Session tokens of the metadata service. They are not kept anywhere: what they say is signed. */
export interface MetadataTokens {
  /** @param endsAt epoch milliseconds */
  issue(microvmId: string, endsAt: number): string;
  verifies(token: string, microvmId: string, now: number): boolean;
}

/** @param key 32 secret bytes; tokens live as long as it does */
export function createMetadataTokens(key: Buffer): MetadataTokens {
  const sign = (microvmId: string, time: Buffer): Buffer =>
    createHmac('sha256', key).update(time).update(microvmId).digest();
  return {
    issue(microvmId, endsAt) {
      const time = Buffer.alloc(timeBytes);
      time.writeUIntBE(endsAt, 0, timeBytes);
      return Buffer.concat([time, sign(microvmId, time)]).toString('base64url');
    },
    verifies(token, microvmId, now) {
      const bytes = Buffer.from(token.slice(0, 128), 'base64url');
      if (bytes.length !== timeBytes + macBytes) return false;
      const time = bytes.subarray(0, timeBytes);
      const genuine = timingSafeEqual(bytes.subarray(timeBytes), sign(microvmId, time));
      return genuine && time.readUIntBE(0, timeBytes) > now;
    },
  };
}
