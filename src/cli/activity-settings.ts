import { InvalidArgumentError } from 'commander';
import type { Client } from './client.ts';

export interface ActivitySettings {
  readonly requests: boolean;
  readonly execSessions: boolean;
  readonly guestCpuPercent: number | null;
}

/** `requests`, `exec`, `cpu=20%`, more than one with commas between them, or `bytes` for none. */
export function parseActivity(text: string): ActivitySettings {
  const words = text.split(',');
  const cpu = words
    .map((word) => /^cpu=(\d{1,3})%$/.exec(word)?.[1])
    .find((percent) => percent !== undefined);
  const known =
    words.every((word) => word === 'requests' || word === 'exec' || word === `cpu=${cpu}%`) ||
    text === 'bytes';
  const percent = cpu === undefined ? null : Number(cpu);
  if (!known || new Set(words).size < words.length || percent === 0 || (percent ?? 0) > 100) {
    throw new InvalidArgumentError(
      'Expected requests, exec, cpu=1% to cpu=100%, more than one as in requests,exec, or bytes.',
    );
  }
  return {
    requests: words.includes('requests'),
    execSessions: words.includes('exec'),
    guestCpuPercent: percent,
  };
}

/** @throws {CliError} */
export async function setActivity(
  client: Client,
  microvmId: string,
  settings: ActivitySettings,
): Promise<void> {
  const resource = `/dormouse/v1/microvms/${microvmId}/activity`;
  await client.extension(resource, undefined, { method: 'PUT', body: settings });
}
