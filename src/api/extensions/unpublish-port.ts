import { defineOperation } from '../operation.ts';
import { identifier } from '../shapes/common.ts';
import { inPath, inQuery, optional, required, structure } from '../shapes/shape.ts';
import { portNumber, portProtocol, publishedPorts } from './ports.ts';

/** Closes the host's port for a port of a microVM. */
export const unpublishPort = defineOperation({
  name: 'UnpublishPort',
  method: 'DELETE',
  path: '/dormouse/v1/microvms/{microvmIdentifier}/ports',
  status: 204,
  input: structure({
    microvmIdentifier: inPath(identifier),
    port: inQuery(required(portNumber)),
    protocol: inQuery(optional(portProtocol)),
  }),
  async handle({ microvmIdentifier, port, protocol = 'tcp' }, { api }) {
    await publishedPorts(api).unpublish({ microvmId: microvmIdentifier, protocol, guestPort: port });
    return undefined;
  },
});
