import { defineOperation } from '../operation.ts';
import { identifier } from '../shapes/common.ts';
import { inPath, list, optional, required, structure, text } from '../shapes/shape.ts';
import { portNumber, portProtocol, portToWire, publishedPorts } from './ports.ts';

const network = text({ min: 1, max: 49 });
const mostNetworks = 64;

/** Opens a port of the host for a TCP or UDP port of a microVM, to the source networks listed. */
export const publishPort = defineOperation({
  name: 'PublishPort',
  method: 'POST',
  path: '/dormouse/v1/microvms/{microvmIdentifier}/ports',
  status: 201,
  input: structure({
    microvmIdentifier: inPath(identifier),
    port: required(portNumber),
    protocol: optional(portProtocol),
    hostPort: optional(portNumber),
    allow: required(list(network, { min: 1, max: mostNetworks })),
  }),
  async handle({ microvmIdentifier, port, protocol = 'tcp', hostPort, allow }, { api }) {
    const input = { microvmId: microvmIdentifier, protocol, guestPort: port, hostPort, allow };
    return portToWire(await publishedPorts(api).publish(input));
  },
});
