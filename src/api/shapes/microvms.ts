import { clientToken, connectors, identifier, kmsKey, logging, paging, roleArn, version } from './common.ts';
import {
  boolean,
  inPath,
  inQuery,
  integer,
  list,
  optional,
  required,
  structure,
  text,
  union,
} from './shape.ts';

/** Requests about microVMs (spec section 1.2). */

export const runMicrovm = structure({
  ingressNetworkConnectors: optional(connectors),
  egressNetworkConnectors: optional(connectors),
  imageIdentifier: required(identifier),
  imageVersion: optional(version),
  executionRoleArn: optional(roleArn),
  idlePolicy: optional(
    structure({
      maxIdleDurationSeconds: required(integer({ min: 'minimumIdleSeconds' })),
      suspendedDurationSeconds: required(integer({ min: 0 })),
      autoResumeEnabled: required(boolean),
    }),
  ),
  logging: optional(logging),
  kmsKeyIdentifier: optional(kmsKey),
  runHookPayload: optional(text({ min: 0, max: 'runHookPayloadLength', sensitive: true })),
  maximumDurationInSeconds: optional(integer({ min: 1, max: 'maximumLifetimeSeconds' })),
  clientToken: optional(clientToken),
});

export const microvmOnly = structure({ microvmIdentifier: inPath(identifier) });

export const listMicrovms = structure({
  ...paging,
  imageIdentifier: inQuery(optional(identifier)),
  imageVersion: inQuery(optional(text())),
});

const portNumber = integer({ min: 1, max: 65_535 });

export const createAuthToken = structure({
  microvmIdentifier: inPath(identifier),
  expirationInMinutes: required(integer({ min: 1 })),
  allowedPorts: required(
    list(
      union({
        port: optional(portNumber),
        range: optional(structure({ startPort: required(portNumber), endPort: required(portNumber) })),
        allPorts: optional(structure({})),
      }),
      { min: 1 },
    ),
  ),
});

export const createShellAuthToken = structure({
  microvmIdentifier: inPath(identifier),
  expirationInMinutes: required(integer({ min: 1 })),
});
