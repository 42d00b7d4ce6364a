import { defineOperation } from '../operation.ts';
import { microvmOnly } from '../shapes/microvms.ts';
import { microvmToWire } from '../wire/microvm.ts';
import { toSeconds, toSecondsOrNull } from '../wire/time.ts';

/** GetMicrovm, and what the host knows about the VM. */
export const inspectMicrovm = defineOperation({
  name: 'InspectMicrovm',
  method: 'GET',
  path: '/dormouse/v1/microvms/{microvmIdentifier}',
  status: 200,
  input: microvmOnly,
  async handle({ microvmIdentifier }, { api }) {
    const { microvm, lastActivityAt, leaseEndsAt, traces, ...host } =
      await api.services.microvms.inspect(microvmIdentifier);
    return {
      ...microvmToWire(microvm, api.options),
      logging: microvm.logging,
      memoryInMiB: microvm.memoryMib,
      suspendedAt: toSecondsOrNull(microvm.suspendedAt),
      lastActivityAt: toSecondsOrNull(lastActivityAt),
      leaseEndsAt: toSecondsOrNull(leaseEndsAt),
      ...host,
      traces: Object.fromEntries(
        Object.entries(traces).map(([transition, trace]) => [
          transition,
          { ...trace, startedAt: toSeconds(trace.startedAt) },
        ]),
      ),
    };
  },
});
