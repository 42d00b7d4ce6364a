import { setTimeout as delay } from 'node:timers/promises';
import type { LaunchedMicrovm } from '../../../scripts/support/microvm-client.ts';
import { CountedMicrovm, type Moment } from '../../soak/counted-microvm.ts';
import { type Host, idlePolicy, image } from '../../soak/host.ts';
import { LossError, type Tally } from '../../soak/tally.ts';

const pollMs = 50;
const lasting: readonly (string | undefined)[] = ['RUNNING', 'SUSPENDED', 'TERMINATED'];

/** What a transition is tried with. */
export interface Room {
  readonly host: Host;
  readonly tally: Tally;
}

/** A transition of a microVM that has answered, as a client drives it: each call is made once. */
export interface Transition {
  readonly name: string;
  /** Brings a running microVM to where it begins. */
  prepare?(room: Room, microvm: CountedMicrovm): Promise<void>;
  /** Ends when the transition has, as far as a client can tell; rejects when the server is gone. */
  act(room: Room, microvm: CountedMicrovm): Promise<void>;
  /** Looks at what became of it; the microVM has not been asked for anything yet. */
  verify?(room: Room, microvm: CountedMicrovm): Promise<void>;
  /** The microVM may end by it. */
  readonly ends?: true;
}

/** Waits, without insisting, until a microVM is in a state that lasts. */
async function settles({ host }: Room, microvmId: string): Promise<void> {
  while (!lasting.includes(await host.attempt((client) => client.state(microvmId)))) await delay(pollMs);
}

/** As {@link settles}, of whichever server runs. */
export async function settled({ host }: Room, microvmId: string): Promise<string> {
  return await host.reaches(microvmId, 'RUNNING', 'SUSPENDED', 'TERMINATED');
}

async function sleeps(room: Room, { launched, files }: CountedMicrovm): Promise<void> {
  await room.host.insist((client) => client.suspend(launched.microvmId));
  await room.host.reaches(launched.microvmId, 'SUSPENDED');
  await files.verify();
}

async function firstAnswer({ host, tally }: Room, launched: LaunchedMicrovm, from?: Moment): Promise<void> {
  await new CountedMicrovm(host, tally, launched, from).tryRequest();
}

const launch: Transition = {
  name: 'launch',
  async act(room) {
    const launched = await room.host.attempt((client) => client.run(image, idlePolicy));
    await settles(room, launched.microvmId);
    await firstAnswer(room, launched);
  },
};

const suspend: Transition = {
  name: 'suspend',
  async act(room, { launched: { microvmId } }) {
    await room.host.attempt((client) => client.suspend(microvmId));
    await settles(room, microvmId);
  },
  async verify(room, { launched: { microvmId }, files }) {
    if ((await settled(room, microvmId)) === 'SUSPENDED') await files.verify();
  },
};

const wake: Transition = {
  name: 'wake',
  prepare: sleeps,
  async act(_room, microvm) {
    await microvm.tryRequest();
  },
};

const fork: Transition = {
  name: 'fork',
  async act(room, parent) {
    const child = await room.host.fork(parent.launched);
    await settles(room, child.microvmId);
    await firstAnswer(room, child, parent.moment);
  },
};

const terminate: Transition = {
  name: 'terminate',
  async act(room, { launched: { microvmId } }) {
    await room.host.attempt((client) => client.terminate(microvmId));
    await settles(room, microvmId);
  },
  ends: true,
};

const collection = ({ launched }: CountedMicrovm): string => `microvms/${launched.microvmId}/checkpoints`;

interface Listed {
  readonly checkpoints: readonly { readonly checkpointId: string }[];
}

async function checkpointsOf({ host }: Room, microvm: CountedMicrovm): Promise<Listed['checkpoints']> {
  return ((await host.extension('GET', collection(microvm))) as Listed).checkpoints;
}

async function forgetCheckpoints(room: Room, microvm: CountedMicrovm): Promise<void> {
  for (const { checkpointId } of await checkpointsOf(room, microvm)) {
    await room.host.extension('DELETE', `${collection(microvm)}/${checkpointId}`);
  }
}

/** MicroVMs whose one checkpoint was acknowledged. */
const checkpointed = new WeakSet<CountedMicrovm>();

const checkpoint: Transition = {
  name: 'checkpoint',
  async act({ host }, microvm) {
    await host.extension('POST', collection(microvm), { name: 'moment' });
    checkpointed.add(microvm);
  },
  async verify(room, microvm) {
    const earlier = microvm.moment;
    if ((await microvm.requests(1)) !== undefined) return;
    const made = (await checkpointsOf(room, microvm)).length === 1;
    if (checkpointed.delete(microvm) && !made) throw new LossError('an acknowledged checkpoint is gone');
    if (!made) return;
    await room.host.extension('POST', `${collection(microvm)}/moment/rollback`);
    microvm.returnsTo(earlier);
    await forgetCheckpoints(room, microvm);
  },
};

/** Where a rollback goes back to. */
const checkpoints = new WeakMap<CountedMicrovm, Moment>();
/** Further than an answer of uncertain origin goes. */
const requestsSince = 3;

const rollback: Transition = {
  name: 'rollback',
  async prepare({ host }, microvm) {
    await host.extension('POST', collection(microvm), { name: 'moment' });
    checkpoints.set(microvm, microvm.moment);
    await microvm.requests(requestsSince);
  },
  async act({ host }, microvm) {
    const moment = checkpoints.get(microvm);
    if (moment === undefined) throw new Error('nothing was prepared');
    microvm.mayReturnTo(moment);
    await host.extension('POST', `${collection(microvm)}/moment/rollback`);
    microvm.returnsTo(moment);
  },
  async verify(room, microvm) {
    if ((await microvm.requests(1)) === undefined) await forgetCheckpoints(room, microvm);
  },
};

export const transitions: readonly Transition[] = [
  suspend,
  wake,
  launch,
  fork,
  checkpoint,
  rollback,
  terminate,
];
