import type { Logger } from 'pino';
import {
  hostPortUnavailable,
  invalidSourceNetwork,
  microvmTerminated,
  portAlreadyPublished,
  portNotPublished,
  tooManyPublishedPorts,
} from '../../errors.ts';
import type { MicrovmService } from '../../microvms/microvm-service.ts';
import type { Microvm } from '../../model/microvm.ts';
import type { PortProtocol, PublishedPort } from '../../model/published-port.ts';
import type { Store } from '../../store/database.ts';
import { PublishedPortRepository } from '../../store/published-ports.ts';
import { createDialer } from '../dialer.ts';
import { type PublishedLimits, publishedLimits } from './limits.ts';
import { type SourceNetworks, sourceNetworks } from './source-networks.ts';
import { listenTcp, type PublishedListener } from './tcp-listener.ts';
import { listenUdp } from './udp-listener.ts';

export interface PublishInput {
  readonly microvmId: string;
  readonly protocol: PortProtocol;
  readonly guestPort: number;
  /** A free one when absent. */
  readonly hostPort?: number | undefined;
  readonly allow: readonly string[];
}

export interface PublishedPortsOptions {
  readonly store: Store;
  readonly backend: Pick<MicrovmService, 'get' | 'connect' | 'associate'>;
  /** Address of this machine on which ports are opened. */
  readonly host: string;
  readonly profile: 'relaxed' | 'aws';
  readonly logger: Logger;
  readonly limits?: Partial<PublishedLimits>;
}

/**
 * Ports of microVMs opened on the host. Each is stored, opened again after a restart and closed with its
 * microVM; a sleeping microVM wakes for the first connection by the rules that hold for requests.
 */
export class PublishedPorts {
  readonly #options: PublishedPortsOptions;
  readonly #limits: PublishedLimits;
  readonly #repository: PublishedPortRepository;
  readonly #dialer: ReturnType<typeof createDialer>;
  readonly #listeners = new Map<string, PublishedListener>();
  readonly #retries = new Set<NodeJS.Timeout>();
  #closed = false;

  constructor(options: PublishedPortsOptions) {
    this.#options = options;
    this.#limits = { ...publishedLimits, ...options.limits };
    this.#repository = new PublishedPortRepository(options.store);
    this.#dialer = createDialer({
      backend: options.backend,
      limits: this.#limits,
      profile: options.profile,
    });
  }

  /**
   * Opens a port of the host for one of a microVM.
   * @throws {ServiceError} the microVM has ended, the port is published already, or the host's is not to be had
   */
  async publish(input: PublishInput): Promise<PublishedPort> {
    const networks = networksOf(input.allow);
    await this.#liveMicrovm(input.microvmId);
    const known = await this.#repository.list(input.microvmId);
    if (known.some((port) => keyOf(port) === keyOf(input))) throw portAlreadyPublished(input);
    if (known.length >= this.#limits.portsPerMicrovm) {
      throw tooManyPublishedPorts(input.microvmId, this.#limits.portsPerMicrovm);
    }
    const listener = await this.#listen({ ...input, hostPort: input.hostPort ?? 0 }, networks).catch(
      (error: unknown) => {
        throw hostPortUnavailable(input.hostPort ?? 0, error);
      },
    );
    const port: PublishedPort = { ...input, hostPort: listener.hostPort };
    try {
      await this.#repository.insert(port);
    } catch (error) {
      await listener.close();
      const rival = (await this.#repository.list(input.microvmId)).some((row) => keyOf(row) === keyOf(input));
      throw rival ? portAlreadyPublished(input) : hostPortUnavailable(port.hostPort, error);
    }
    this.#listeners.set(keyOf(port), listener);
    await this.#undoIfEnded(port);
    return port;
  }

  /** @throws {ServiceError} there is no such microVM */
  async list(microvmId: string): Promise<readonly PublishedPort[]> {
    await this.#options.backend.get(microvmId);
    return await this.#repository.list(microvmId);
  }

  /** @throws {ServiceError} the port is not published */
  async unpublish(port: Pick<PublishedPort, 'microvmId' | 'protocol' | 'guestPort'>): Promise<void> {
    await this.#options.backend.get(port.microvmId);
    if (!(await this.#withdraw(port))) throw portNotPublished(port);
  }

  /** Closes everything a microVM that has ended had published. */
  async withdrawAll(microvmId: string): Promise<void> {
    for (const port of await this.#repository.list(microvmId)) await this.#withdraw(port);
  }

  /** Opens again what was open when the last server ended. */
  async recover(): Promise<void> {
    for (const port of await this.#repository.listAll()) {
      const vm = await this.#options.backend.get(port.microvmId).catch(() => undefined);
      if (vm === undefined || hasEnded(vm)) await this.#repository.remove(port);
      else await this.#reopen(port);
    }
  }

  /** Frees all ports of this process; what is stored stays. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const retry of this.#retries) clearTimeout(retry);
    const listeners = [...this.#listeners.values()];
    this.#listeners.clear();
    await Promise.all(listeners.map((listener) => listener.close()));
  }

  async #listen(port: PublishedPort, networks: SourceNetworks): Promise<PublishedListener> {
    const { host } = this.#options;
    const options = { host, port: port.hostPort, networks, limits: this.#limits };
    const { microvmId, guestPort } = port;
    return port.protocol === 'udp'
      ? await listenUdp(
          options,
          (onAnswer, signal) => this.#dialer.associate(microvmId, guestPort, onAnswer, signal),
          (error) =>
            this.#options.logger.warn(
              { microvmId, guestPort, err: error },
              'datagrams did not reach a microVM',
            ),
        )
      : await listenTcp(options, (signal) => this.#dialer.connect(microvmId, guestPort, signal));
  }

  /** Another process may hold the port for the moment; it is tried again until the port is withdrawn. */
  async #reopen(port: PublishedPort): Promise<void> {
    try {
      const listener = await this.#listen(port, networksOf(port.allow));
      this.#listeners.set(keyOf(port), listener);
      const stored = await this.#repository.list(port.microvmId);
      const wanted = !this.#closed && stored.some((row) => keyOf(row) === keyOf(port));
      if (!wanted) await this.#stop(port);
    } catch (error) {
      this.#options.logger.error({ ...port, err: error }, 'a published port cannot be opened');
      const retry = setTimeout(() => {
        this.#retries.delete(retry);
        void this.#retry(port);
      }, this.#limits.retryMs);
      retry.unref();
      this.#retries.add(retry);
    }
  }

  async #retry(port: PublishedPort): Promise<void> {
    const stored = await this.#repository.list(port.microvmId);
    if (!this.#closed && stored.some((row) => keyOf(row) === keyOf(port))) await this.#reopen(port);
  }

  async #withdraw(port: Pick<PublishedPort, 'microvmId' | 'protocol' | 'guestPort'>): Promise<boolean> {
    const removed = await this.#repository.remove(port);
    await this.#stop(port);
    return removed;
  }

  async #stop(port: Pick<PublishedPort, 'microvmId' | 'protocol' | 'guestPort'>): Promise<void> {
    const listener = this.#listeners.get(keyOf(port));
    this.#listeners.delete(keyOf(port));
    await listener?.close();
  }

  async #liveMicrovm(microvmId: string): Promise<void> {
    if (hasEnded(await this.#options.backend.get(microvmId))) throw microvmTerminated(microvmId);
  }

  /** The microVM may have ended while its port was being stored, when nobody knew of the port. */
  async #undoIfEnded(port: PublishedPort): Promise<void> {
    if (!hasEnded(await this.#options.backend.get(port.microvmId))) return;
    await this.#withdraw(port);
    throw microvmTerminated(port.microvmId);
  }
}

function keyOf(port: Pick<PublishedPort, 'microvmId' | 'protocol' | 'guestPort'>): string {
  return `${port.microvmId}/${port.protocol}/${port.guestPort}`;
}

function hasEnded(vm: Microvm): boolean {
  return vm.state === 'TERMINATING' || vm.state === 'TERMINATED';
}

function networksOf(allow: readonly string[]): SourceNetworks {
  try {
    return sourceNetworks(allow);
  } catch (error) {
    throw error instanceof RangeError ? invalidSourceNetwork(error.message) : error;
  }
}
