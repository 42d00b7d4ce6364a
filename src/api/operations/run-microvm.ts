import { ownClientToken } from '../client-token.ts';
import { refuseCustomerKey } from '../customer-key.ts';
import { resolveImageToRun } from '../image-identifier.ts';
import { defineOperation } from '../operation.ts';
import { runMicrovm as input } from '../shapes/microvms.ts';
import { microvmToWire } from '../wire/microvm.ts';

export const runMicrovm = defineOperation({
  name: 'RunMicrovm',
  method: 'POST',
  path: '/2025-09-09/microvms',
  status: 200,
  input,
  async handle(request, call) {
    refuseCustomerKey(request);
    const { services, options } = call.api;
    const imageIdentifier = resolveImageToRun(request.imageIdentifier, call);
    const clientToken = ownClientToken(request.clientToken, call);
    return microvmToWire(await services.microvms.run({ ...request, imageIdentifier, clientToken }), options);
  },
});
