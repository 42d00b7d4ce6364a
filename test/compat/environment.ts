import { environmentOf } from '../../src/cli/commands/env.ts';
import { credentials, realm, type TestServer } from '../api/server.ts';

/** What `dormouse env` exports for a server, without the certificates, which the API needs none of. */
export function exportedFor(server: TestServer): Record<string, string> {
  const {
    NODE_EXTRA_CA_CERTS: _node,
    AWS_CA_BUNDLE: _aws,
    ...variables
  } = environmentOf({
    apiEndpoint: server.url,
    s3Endpoint: server.url,
    endpointPort: 1,
    endpointDomain: 'microvm.localhost',
    ...realm,
    ...credentials,
    caCertificatePath: '',
    vmm: 'qemu',
    accelerator: 'tcg',
    dataDirectory: '/',
  });
  return variables;
}
