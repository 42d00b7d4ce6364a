import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** Files made once by `scripts/setup` and shared, read-only, by every server on this machine. */
export interface Assets {
  readonly directory: string;
  /** Guest kernel, bootable by the VMM as it is. */
  readonly kernel: string;
  /** Initial RAM disk: the guest agent as /init and the kernel modules it loads. */
  readonly initrd: string;
  /** Static host helper that saves and applies memory differences. */
  readonly memoryDifference: string;
  /** Static host program that becomes a VMM which reaches nothing but what it is given. */
  readonly vmmJail: string;
  /** gVisor's program; absent where the set-up found no way to it. */
  readonly runsc: string;
  /** Static host helper that stores and assembles the pages of sandboxes. */
  readonly pageDifference: string;
  /** The guest agent as a program by itself. */
  readonly agent: string;
  /** containers/storage root holding the `dormouse/*` base images. */
  readonly containerStorage: string;
}

/** @param directory defaults to `build/` of this checkout */
export function locateAssets(directory = fileURLToPath(new URL('../build/', import.meta.url))): Assets {
  const at = (...parts: string[]): string => path.resolve(directory, ...parts);
  return {
    directory: at(),
    kernel: at('guest', 'vmlinuz'),
    initrd: at('guest', 'initrd.img'),
    memoryDifference: at('bin', 'memory-difference'),
    vmmJail: at('bin', 'vmm-jail'),
    runsc: at('gvisor', 'runsc'),
    pageDifference: at('bin', 'page-difference'),
    agent: at('guest', 'agent'),
    containerStorage: at('containers'),
  };
}
