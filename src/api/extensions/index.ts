import type { Operation } from '../operation.ts';
import { describeServer } from './describe-server.ts';
import { inspectMicrovm } from './inspect-microvm.ts';
import { listLogStreams } from './list-log-streams.ts';
import { readLog } from './read-log.ts';

/** Operations the service does not have, all below `/dormouse/v1/`. */
export const extensionOperations: readonly Operation[] = [
  describeServer,
  inspectMicrovm,
  listLogStreams,
  readLog,
];
