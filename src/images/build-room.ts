import type { CapacityResource } from '../model/capacity.ts';

/** A place on the host for the VM of a build. */
export interface BuildPlace {
  /** Says that the VM runs: from here on the host's figures show what it takes. */
  settle(): void;
  release(): void;
}

/** Room on the host for builds, of which each boots a VM. */
export interface BuildRoom {
  /**
   * Reserves what the VM of a build takes, and waits for it if need be.
   * @param options.onWaiting told once, with what is short
   * @throws {BuildFailure} there is not so much on this host, or none came free for very long
   * @throws the signal's reason; nothing is reserved then
   */
  reserve(
    build: { readonly buildId: string; readonly memoryMib: number },
    options: { readonly signal: AbortSignal; readonly onWaiting: (resource: CapacityResource) => void },
  ): Promise<BuildPlace>;
}
