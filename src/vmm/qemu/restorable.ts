import { SnapshotIncompatibleError, type SnapshotOrigin } from '../vmm.ts';
import { machineFor } from './machine.ts';

/*
 * A restored VM has its kernel and its agent in its memory and never looks at the host's files of them, so these may
 * differ. What a newer QEMU still offers by the same machine type it also restores; an older one does not know what
 * a newer one stores. Everything else has to be as it was.
 */
const same: Readonly<Partial<Record<keyof SnapshotOrigin, string>>> = {
  vmm: 'VMM',
  accelerator: 'accelerator',
  architecture: 'architecture',
  agentProtocol: 'version of the agent protocol',
  deviceLayout: 'arrangement of devices',
};

/** Elsewhere than on a PC QEMU is given kernel and initrd again. */
const sameOffPc = { kernelDigest: 'guest kernel', initrdDigest: 'guest agent (initrd)' } as const;

/**
 * @param here what a snapshot made on this host would be made with
 * @throws {SnapshotIncompatibleError} naming each thing that keeps the snapshot from being restored
 */
export function assertRestorable(snapshot: SnapshotOrigin, here: SnapshotOrigin): void {
  const needed = snapshot.architecture === 'x86_64' ? same : { ...same, ...sameOffPc };
  const reasons = (Object.keys(needed) as (keyof SnapshotOrigin)[])
    .filter((key) => snapshot[key] !== here[key])
    .map((key) => `another ${needed[key]}: ${snapshot[key]} (here ${here[key]})`);
  if (isNewer(snapshot.vmmVersion, here.vmmVersion)) {
    reasons.push(`a newer version of the VMM: ${snapshot.vmmVersion} (here ${here.vmmVersion})`);
  }
  if (!offersMachine(snapshot.machineType, here)) {
    reasons.push(`another machine type: ${snapshot.machineType} (here ${here.machineType})`);
  }
  if (reasons.length === 0 && !offersCpu(snapshot.cpuModel, here)) {
    reasons.push(`another CPU model: ${snapshot.cpuModel} (here ${here.cpuModel})`);
  }
  if (reasons.length === 0) return;
  throw new SnapshotIncompatibleError(`the snapshot was made with ${reasons.join(', ')}`);
}

/** Whether a version is of a later series; what is stored does not change within one. */
function isNewer(version: string, than: string): boolean {
  const [[major, minor], [otherMajor, otherMinor]] = [series(version), series(than)];
  return major > otherMajor || (major === otherMajor && minor > otherMinor);
}

function series(version: string): readonly [number, number] {
  const found = /(\d+)\.(\d+)/.exec(version);
  return [Number(found?.[1] ?? 0), Number(found?.[2] ?? 0)];
}

/** A machine type is named after the version that brought it, and later ones keep it. */
function offersMachine(type: string, here: SnapshotOrigin): boolean {
  const family = (name: string): string => name.replace(/-[\d.]+$/, '');
  return family(type) === family(here.machineType) && !isNewer(type, here.vmmVersion);
}

/** A host that gives guests a richer model gives them the plain one as well. */
function offersCpu(model: string, here: SnapshotOrigin): boolean {
  if (model === here.cpuModel) return true;
  const { architecture, accelerator } = here;
  return accelerator !== 'systrap' && model === machineFor(architecture, accelerator).cpu;
}
