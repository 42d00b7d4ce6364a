import type { Duplex } from 'node:stream';
import { type MicrovmService, MicrovmUnreachableError } from '../microvms/microvm-service.ts';
import type { DatagramChannel, DatagramListener } from '../model/datagrams.ts';
import type { EndpointLimits } from './options.ts';
import { badGateway, RefusedError, refusals } from './refusals.ts';

/** Opens connections into guests; whoever comes at a sleeping microVM waits here, within bounds. */
export interface Dialer {
  /**
   * @throws {RefusedError} the answer for the client
   * @throws the signal's reason, once it is aborted
   */
  connect(microvmId: string, port: number, signal: AbortSignal): Promise<Duplex>;
  /** The same for datagrams. */
  associate(
    microvmId: string,
    port: number,
    onDatagram: DatagramListener,
    signal: AbortSignal,
  ): Promise<DatagramChannel>;
  /** Waits within the same bounds for what is opened already for another. */
  join<Way>(microvmId: string, opening: Promise<Way>, signal: AbortSignal): Promise<Way>;
  /** Connections being opened. */
  waiting(): number;
}

export function createDialer(options: {
  readonly backend: Pick<MicrovmService, 'connect' | 'associate'>;
  readonly limits: Pick<EndpointLimits, 'waitersPerMicrovm' | 'wakeTimeoutMs'>;
  readonly profile: 'relaxed' | 'aws';
}): Dialer {
  const { backend, limits, profile } = options;
  const waiters = new Map<string, number>();
  let waiting = 0;
  const tired = profile === 'aws' ? badGateway('MICROVM_CONNECT_FAILED') : refusals.waking;

  function count(microvmId: string, change: 1 | -1): void {
    waiting += change;
    const left = (waiters.get(microvmId) ?? 0) + change;
    if (left === 0) waiters.delete(microvmId);
    else waiters.set(microvmId, left);
  }

  async function reach<Way>(
    microvmId: string,
    signal: AbortSignal,
    open: (signal: AbortSignal) => Promise<Way>,
    discard: (way: Way) => void,
  ): Promise<Way> {
    if ((waiters.get(microvmId) ?? 0) >= limits.waitersPerMicrovm) throw new RefusedError(tired);
    const controller = new AbortController();
    const given = Promise.withResolvers<never>();
    const giveUp = (reason: unknown): void => {
      controller.abort(reason);
      given.reject(reason);
    };
    const onAbort = (): void => giveUp(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    const timer = setTimeout(() => giveUp(new RefusedError(tired)), limits.wakeTimeoutMs);
    count(microvmId, 1);
    try {
      signal.throwIfAborted();
      const opening = open(controller.signal);
      opening.then(
        (way) => {
          if (controller.signal.aborted) discard(way);
        },
        () => undefined,
      );
      return await Promise.race([opening, given.promise]);
    } catch (error) {
      if (controller.signal.aborted) throw controller.signal.reason;
      if (error instanceof MicrovmUnreachableError) {
        const noRoom = error.code === 'INSUFFICIENT_CAPACITY' && profile !== 'aws';
        throw new RefusedError(noRoom ? refusals.noRoom : badGateway(error.code), { cause: error });
      }
      throw error;
    } finally {
      count(microvmId, -1);
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
    }
  }

  return {
    waiting: () => waiting,
    async connect(microvmId, port, signal) {
      const connection = await reach(
        microvmId,
        signal,
        (left) => backend.connect(microvmId, port, left),
        (late) => late.on('error', () => undefined).destroy(),
      );
      // Whoever uses the connection learns of its end; an error in between must not end the process.
      return connection.on('error', () => undefined);
    },
    associate: (microvmId, port, onDatagram, signal) =>
      reach(
        microvmId,
        signal,
        (left) => backend.associate(microvmId, port, onDatagram, left),
        (late) => late.close(),
      ),
    join: (microvmId, opening, signal) =>
      reach(
        microvmId,
        signal,
        () => opening,
        () => undefined,
      ),
  };
}
