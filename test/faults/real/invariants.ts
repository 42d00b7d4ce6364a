import { glob, readdir } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { mountsIn, processesIn } from '../../../scripts/support/leftovers.ts';
import { controlGroupName } from '../../../src/vmm/choose-vmm.ts';
import { CountedMicrovm } from '../../soak/counted-microvm.ts';
import { LossError } from '../../soak/tally.ts';
import { type Room, settled } from './transitions.ts';

const pollMs = 100;
const settleMs = 60_000;

/** Looks at every microVM there is besides `kept`, and ends it: it works, or says why it does not. */
export async function othersWorkAndEnd(room: Room, kept: string, known: Set<string>): Promise<void> {
  const { host, tally } = room;
  for (const microvmId of await host.insist((client) => client.list())) {
    if (microvmId === kept || known.has(microvmId)) continue;
    if ((await settled(room, microvmId)) !== 'TERMINATED') {
      const { endpoint = '' } = await host.insist((client) => client.describe(microvmId));
      const end = await new CountedMicrovm(host, tally, { microvmId, endpoint }).requests(1);
      if (end === undefined) {
        await host.insist((client) => client.terminate(microvmId));
        await host.reaches(microvmId, 'TERMINATED');
      }
    }
    await endedForAReason(room, microvmId);
    known.add(microvmId);
  }
}

/** @throws {LossError} nobody can know why it ended */
export async function endedForAReason({ host }: Room, microvmId: string): Promise<string> {
  const { stateReason } = await host.insist((client) => client.describe(microvmId));
  if (!stateReason) throw new LossError(`${microvmId} ended without a reason`);
  return stateReason;
}

/**
 * Waits until the machine shows what the one microVM that is left needs and nothing else: directories, processes,
 * mounts and control groups.
 * @param running id of a microVM that runs; undefined when there is none
 * @throws {LossError} something else stays
 */
export async function onlyNeeds(dataDirectory: string, running: string | undefined): Promise<void> {
  const deadline = performance.now() + settleMs;
  for (;;) {
    const wrong = await strange(dataDirectory, running);
    if (wrong.length === 0) return;
    if (performance.now() > deadline) throw new LossError(`besides ${running}: ${wrong.join(', ')}`);
    await delay(pollMs);
  }
}

async function strange(dataDirectory: string, running: string | undefined): Promise<readonly string[]> {
  const directory = path.join(dataDirectory, 'microvms');
  const own = path.join(directory, running ?? 'none');
  const needed = await processesIn(own);
  const groups = await Array.fromAsync(
    glob(`/sys/fs/cgroup/{,*/}${controlGroupName(dataDirectory)}/*-*`, { exclude: ['**/*.*'] }),
  );
  return [
    ...(await readdir(directory)).filter((name) => name !== running),
    ...(await readdir(path.join(dataDirectory, 'images', 'builds'))).map((name) => `build ${name}`),
    ...(await processesIn(directory)).filter((pid) => !needed.includes(pid)).map((pid) => `process ${pid}`),
    ...(running !== undefined && needed.length !== 1 ? [`${needed.length} processes of its own`] : []),
    ...(await mountsIn(dataDirectory)).filter((mount) => !mount.startsWith(own)).map((at) => `mount ${at}`),
    ...groups.filter((group) => !path.basename(group).startsWith(`${running}-`)),
  ];
}
