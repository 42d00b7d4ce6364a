import { diskFull, hostTooSmall, noRoom } from '../images/build-failure.ts';
import type { BuildRoom } from '../images/build-room.ts';
import type { Clock } from '../model/clock.ts';
import { pause } from '../model/pause.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { Admission } from './admission.ts';

/** Nobody waits at the other end of a build, so it has more patience than a launch; but it must end. */
const patienceMinutes = 30;
const patienceMs = patienceMinutes * 60_000;
const retryMs = 2_000;

/** The room that builds have beside microVMs: what launches and wakes do not want. */
export function createBuildRoom(admission: Admission, clock: Clock, metrics?: Metrics): BuildRoom {
  let waiting = 0;
  metrics?.reading('capacity_builds_waiting', 'Builds that wait for room.', () => waiting);
  return {
    async reserve({ buildId, memoryMib }, { signal, onWaiting }) {
      const id = `build ${buildId}`;
      const until = clock.now() + patienceMs;
      let waits = false;
      try {
        for (;;) {
          signal.throwIfAborted();
          const shortage = await admission.admitLast(id, memoryMib);
          if (shortage === undefined) {
            return { settle: () => admission.settle(id), release: () => admission.release(id) };
          }
          const { resource } = shortage;
          if (shortage.never) throw hostTooSmall(resource, shortage.wanted, shortage.most);
          if (clock.now() >= until) {
            throw resource === 'disk' ? diskFull(noDisk) : noRoom(resource, patienceMinutes);
          }
          if (!waits) {
            waits = true;
            waiting += 1;
            onWaiting(resource);
          }
          await pause(clock, retryMs, signal);
        }
      } finally {
        if (waits) waiting -= 1;
      }
    },
  };
}

const noDisk = 'The host has no disk space left for builds.';
