import type { Operation } from '../operation.ts';
import {
  commitMicrovm,
  createCheckpoint,
  deleteCheckpoint,
  listCheckpoints,
  rollBackMicrovm,
} from './checkpoints.ts';
import { describeServer } from './describe-server.ts';
import { deleteEgressPolicy } from './egress-policies-delete.ts';
import { getEgressPolicy } from './egress-policies-get.ts';
import { listEgressPolicies } from './egress-policies-list.ts';
import { putEgressPolicy } from './egress-policies-put.ts';
import { endLease } from './end-lease.ts';
import { forkMicrovm } from './fork-microvm.ts';
import { getActivity } from './get-activity.ts';
import { inspectMicrovm } from './inspect-microvm.ts';
import { createKeys } from './keys-create.ts';
import { deleteKeys } from './keys-delete.ts';
import { listKeys } from './keys-list.ts';
import { rotateKeys } from './keys-rotate.ts';
import { listEgressRefusals } from './list-egress-refusals.ts';
import { listImageConditions } from './list-image-conditions.ts';
import { listLogStreams } from './list-log-streams.ts';
import { listPorts } from './list-ports.ts';
import { publishPort } from './publish-port.ts';
import { readLog } from './read-log.ts';
import { readMetrics } from './read-metrics.ts';
import { deleteRolePolicy } from './roles-delete.ts';
import { listRolePolicies } from './roles-list.ts';
import { putRolePolicy } from './roles-put.ts';
import { setActivity } from './set-activity.ts';
import { setLease } from './set-lease.ts';
import { streamEvents } from './stream-events.ts';
import { rotateTokenKey } from './token-key-rotate.ts';
import { unpublishPort } from './unpublish-port.ts';
import { createWebhook, deleteWebhook, listWebhooks, resumeWebhook } from './webhooks.ts';

/** Operations the service does not have, all below `/dormouse/v1/`. */
export const extensionOperations: readonly Operation[] = [
  describeServer,
  forkMicrovm,
  inspectMicrovm,
  listImageConditions,
  createCheckpoint,
  listCheckpoints,
  deleteCheckpoint,
  rollBackMicrovm,
  commitMicrovm,
  listLogStreams,
  readLog,
  readMetrics,
  setLease,
  endLease,
  setActivity,
  getActivity,
  publishPort,
  listPorts,
  unpublishPort,
  createKeys,
  listKeys,
  rotateKeys,
  deleteKeys,
  rotateTokenKey,
  streamEvents,
  createWebhook,
  listWebhooks,
  resumeWebhook,
  deleteWebhook,
  putEgressPolicy,
  getEgressPolicy,
  listEgressPolicies,
  deleteEgressPolicy,
  listEgressRefusals,
  putRolePolicy,
  listRolePolicies,
  deleteRolePolicy,
];
