import { randomUUID } from 'node:crypto';
import { pageOf } from '../../../src/api/page-token.ts';
import { microvmNotFound, microvmTerminated } from '../../../src/errors.ts';
import type { ImageService } from '../../../src/images/image-service.ts';
import type { MicrovmService } from '../../../src/microvms/microvm-service.ts';
import { type ActivitySettings, bytesOnly } from '../../../src/model/activity.ts';
import { managedConnectorArn, type Realm } from '../../../src/model/arn.ts';
import type { Microvm, MicrovmState } from '../../../src/model/microvm.ts';
import { endlessBuildRoom } from '../../support/endless-build-room.ts';
import { createMemoryCheckpoints } from './checkpoints.ts';

/** MicroVMs in memory: each is RUNNING as soon as it was returned. */
export function createMemoryMicrovms(realm: Realm, images: ImageService, now: () => number): MicrovmService {
  const vms = new Map<string, Microvm>();
  const byToken = new Map<string, Microvm>();
  const leases = new Map<string, number>();
  const activity = new Map<string, ActivitySettings>();

  function vm(id: string): Microvm {
    const found = vms.get(id);
    if (found === undefined) throw microvmNotFound(id);
    return found;
  }

  function change(id: string, state: MicrovmState): void {
    if (vm(id).state === 'TERMINATED') throw microvmTerminated(id);
    vms.set(id, { ...vm(id), state });
  }

  return {
    countRequest: () => undefined,
    async run(input) {
      const earlier = byToken.get(JSON.stringify(input.clientToken));
      if (earlier !== undefined) return earlier;
      const version = await images.runnableVersion(input.imageIdentifier, input.imageVersion);
      const created: Microvm = {
        microvmId: `microvm-${randomUUID()}`,
        endpointId: randomUUID(),
        state: 'PENDING',
        stateReason: null,
        imageArn: version.imageArn,
        imageVersion: version.imageVersion,
        executionRoleArn: input.executionRoleArn ?? null,
        idlePolicy: input.idlePolicy ?? null,
        logging: input.logging ?? null,
        maximumDurationInSeconds: input.maximumDurationInSeconds ?? 28_800,
        ingressNetworkConnectors: input.ingressNetworkConnectors ?? [
          managedConnectorArn(realm.region, 'HTTP_INGRESS'),
        ],
        egressNetworkConnectors: input.egressNetworkConnectors ?? [
          managedConnectorArn(realm.region, 'INTERNET_EGRESS'),
        ],
        memoryMib: 2048,
        startedAt: now(),
        suspendedAt: null,
        terminatedAt: null,
      };
      vms.set(created.microvmId, { ...created, state: 'RUNNING' });
      if (input.clientToken !== undefined) byToken.set(JSON.stringify(input.clientToken), created);
      return created;
    },
    get: async (id) => vm(id),
    async list(page, filter) {
      const chosen = [...vms.values()].filter(
        (item) =>
          (filter.imageArn ?? item.imageArn) === item.imageArn &&
          (filter.imageVersion ?? item.imageVersion) === item.imageVersion,
      );
      return pageOf(chosen, (item) => item.microvmId, page);
    },
    suspend: async (id) => change(id, 'SUSPENDED'),
    resume: async (id) => change(id, 'RUNNING'),
    async terminate(id) {
      vms.set(id, { ...vm(id), state: 'TERMINATED', stateReason: 'Success.', terminatedAt: now() });
    },
    async fork(id, { count }) {
      const parent = vm(id);
      return Array.from({ length: count }, () => {
        const child = { ...parent, microvmId: `microvm-${randomUUID()}`, endpointId: randomUUID() };
        vms.set(child.microvmId, child);
        return { ...child, state: 'PENDING' as const };
      });
    },
    buildRoom: endlessBuildRoom,
    checkpoints: createMemoryCheckpoints(vm, images, now),
    findByEndpoint: async (endpointId) => [...vms.values()].find((item) => item.endpointId === endpointId),
    associate: async () => {
      throw new Error('there is no guest here');
    },
    connect: async () => {
      throw new Error('no guests here');
    },
    inspect: async (id) => ({
      microvm: vm(id),
      vmmPid: 4711,
      residentBytes: 1,
      proportionalBytes: 1,
      cpuSeconds: 0.5,
      diskBytes: 4096,
      lastActivityAt: now(),
      leaseEndsAt: leases.get(id) ?? null,
      activity: activity.get(id) ?? bytesOnly,
      traces: {
        launch: {
          startedAt: now(),
          durationMs: 8,
          steps: [{ name: 'checks', startMs: 1, durationMs: 2, failed: false }],
        },
      },
    }),
    usages: async () => [],
    exec: async () => {
      throw new Error('no guests here');
    },
    async setLease(id, seconds) {
      const endsAt = now() + seconds * 1000;
      leases.set(vm(id).microvmId, endsAt);
      return endsAt;
    },
    async endLease(id) {
      leases.delete(vm(id).microvmId);
    },
    async setActivity(id, settings) {
      activity.set(vm(id).microvmId, settings);
    },
    hasLive: async () => false,
    withdraw: async () => undefined,
    recover: async () => undefined,
    close: async () => undefined,
  };
}
