import { bytesOnly } from '../../model/activity.ts';
import { defineOperation } from '../operation.ts';
import { identifier } from '../shapes/common.ts';
import { boolean, inPath, integer, optional, structure } from '../shapes/shape.ts';

/**
 * Says what keeps a microVM awake besides bytes across its endpoint: requests under way, exec sessions, or this much use of its CPUs in
 * percent of one. What is left out does not.
 */
export const setActivity = defineOperation({
  name: 'SetActivity',
  method: 'PUT',
  path: '/dormouse/v1/microvms/{microvmIdentifier}/activity',
  status: 200,
  input: structure({
    microvmIdentifier: inPath(identifier),
    requests: optional(boolean),
    execSessions: optional(boolean),
    guestCpuPercent: optional(integer({ min: 1, max: 100 })),
  }),
  async handle({ microvmIdentifier, requests, execSessions, guestCpuPercent }, { api }) {
    const settings = {
      requests: requests ?? bytesOnly.requests,
      execSessions: execSessions ?? bytesOnly.execSessions,
      guestCpuPercent: guestCpuPercent ?? bytesOnly.guestCpuPercent,
    };
    await api.services.microvms.setActivity(microvmIdentifier, settings);
    return settings;
  },
});
