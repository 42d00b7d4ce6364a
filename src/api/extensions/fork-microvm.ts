import { mostForks } from '../../microvms/microvm-service.ts';
import { defineOperation } from '../operation.ts';
import { inPath, integer, optional, required, structure, text } from '../shapes/shape.ts';
import { microvmToWire } from '../wire/microvm.ts';

/** New microVMs that continue from what one is now. */
export const forkMicrovm = defineOperation({
  name: 'ForkMicrovm',
  method: 'POST',
  path: '/dormouse/v1/microvms/{microvmIdentifier}/fork',
  status: 200,
  input: structure({
    microvmIdentifier: inPath(text({ min: 1, max: 256 })),
    count: required(integer({ min: 1, max: mostForks })),
    runHookPayload: optional(text({ max: 'runHookPayloadLength', sensitive: true })),
  }),
  async handle({ microvmIdentifier, ...input }, { api }) {
    const children = await api.services.microvms.fork(microvmIdentifier, input);
    return { items: children.map((child) => microvmToWire(child, api.options)) };
  },
});
