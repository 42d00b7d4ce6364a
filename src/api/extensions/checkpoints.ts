import type { Checkpoint } from '../../microvms/checkpoints.ts';
import { defineOperation } from '../operation.ts';
import { identifier } from '../shapes/common.ts';
import { microvmOnly } from '../shapes/microvms.ts';
import { inPath, optional, structure, text } from '../shapes/shape.ts';
import { versionToWire } from '../wire/image.ts';
import { microvmToWire } from '../wire/microvm.ts';
import { toSeconds } from '../wire/time.ts';

const collection = '/dormouse/v1/microvms/{microvmIdentifier}/checkpoints';
const microvmIdentifier = inPath(identifier);
/** Its id or its name. */
const checkpointIdentifier = inPath(text({ min: 1, max: 64 }));
const imageName = text({ min: 1, max: 64, pattern: '[a-zA-Z0-9-_]+' });
const checkpointName = text({ min: 1, max: 64, pattern: '[a-zA-Z0-9._-]+' });

/** Stores what a microVM is now. */
export const createCheckpoint = defineOperation({
  name: 'CreateCheckpoint',
  method: 'POST',
  path: collection,
  status: 201,
  input: structure({ microvmIdentifier, name: optional(checkpointName) }),
  async handle(input, { api }) {
    return toWire(await api.services.microvms.checkpoints.create(input.microvmIdentifier, input.name));
  },
});

/** The checkpoints of a microVM, the oldest first. */
export const listCheckpoints = defineOperation({
  name: 'ListCheckpoints',
  method: 'GET',
  path: collection,
  status: 200,
  input: microvmOnly,
  async handle(input, { api }) {
    const checkpoints = await api.services.microvms.checkpoints.list(input.microvmIdentifier);
    return { checkpoints: checkpoints.map(toWire) };
  },
});

/** Forgets a checkpoint. */
export const deleteCheckpoint = defineOperation({
  name: 'DeleteCheckpoint',
  method: 'DELETE',
  path: `${collection}/{checkpointIdentifier}`,
  status: 204,
  input: structure({ microvmIdentifier, checkpointIdentifier }),
  async handle(input, { api }) {
    await api.services.microvms.checkpoints.remove(input.microvmIdentifier, input.checkpointIdentifier);
    return undefined;
  },
});

/** Makes a microVM what it was at a checkpoint. */
export const rollBackMicrovm = defineOperation({
  name: 'RollBackMicrovm',
  method: 'POST',
  path: `${collection}/{checkpointIdentifier}/rollback`,
  status: 200,
  input: structure({ microvmIdentifier, checkpointIdentifier }),
  async handle(input, { api }) {
    const { checkpoints } = api.services.microvms;
    const vm = await checkpoints.rollBack(input.microvmIdentifier, input.checkpointIdentifier);
    return microvmToWire(vm, api.options);
  },
});

/** Makes what a microVM is now a version of an image, of its own or of one with another name. */
export const commitMicrovm = defineOperation({
  name: 'CommitMicrovm',
  method: 'POST',
  path: '/dormouse/v1/microvms/{microvmIdentifier}/image-version',
  status: 201,
  input: structure({ microvmIdentifier, imageName: optional(imageName) }),
  async handle(input, { api }) {
    const version = await api.services.microvms.checkpoints.commit(input.microvmIdentifier, input.imageName);
    return versionToWire(version);
  },
});

function toWire({ createdAt, ...checkpoint }: Checkpoint) {
  return { ...checkpoint, createdAt: toSeconds(createdAt) };
}
