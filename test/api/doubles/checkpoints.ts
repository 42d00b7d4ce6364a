import { checkpointNameTaken, checkpointNotFound } from '../../../src/errors.ts';
import type { ImageService } from '../../../src/images/image-service.ts';
import type { CheckpointService } from '../../../src/microvms/checkpoint-service.ts';
import type { Checkpoint } from '../../../src/microvms/checkpoints.ts';
import type { Microvm } from '../../../src/model/microvm.ts';

/** Checkpoints of which nothing is stored but that they are there. */
export function createMemoryCheckpoints(
  vm: (id: string) => Microvm,
  images: ImageService,
  now: () => number,
): CheckpointService {
  const all = new Map<string, Checkpoint[]>();

  function of(id: string): Checkpoint[] {
    const list = all.get(vm(id).microvmId) ?? [];
    all.set(id, list);
    return list;
  }

  function find(id: string, identifier: string): Checkpoint {
    const found = of(id).find((item) => item.checkpointId === identifier || item.name === identifier);
    if (found === undefined) throw checkpointNotFound(id, identifier);
    return found;
  }

  return {
    async create(id, name) {
      const list = of(id);
      if (name !== undefined && list.some((item) => item.name === name)) throw checkpointNameTaken(id, name);
      const checkpoint = {
        checkpointId: `checkpoint-${list.length + 1}`,
        name: name ?? null,
        createdAt: now(),
        sizeInBytes: 4096,
      };
      list.push(checkpoint);
      return checkpoint;
    },
    list: async (id) => of(id),
    async remove(id, identifier) {
      const found = find(id, identifier);
      all.set(
        id,
        of(id).filter((item) => item !== found),
      );
    },
    async rollBack(id, identifier) {
      find(id, identifier);
      return vm(id);
    },
    async commit(id, name) {
      return (await images.addDerived(vm(id), name, async () => ({}))).version;
    },
  };
}
