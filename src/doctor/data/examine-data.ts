import { access, realpath } from 'node:fs/promises';
import path from 'node:path';
import { ImagePaths } from '../../images/image-paths.ts';
import { openDatabase, openToRead, type Store } from '../../store/database.ts';
import { examineCheckpoints } from './checkpoints.ts';
import type { DataContext } from './context.ts';
import { type Finding, findingKinds } from './finding.ts';
import { examineMicrovms } from './microvms.ts';
import { examineObjects } from './objects.ts';
import { examineProcesses, workingProcesses } from './processes.ts';
import { examineVersions } from './versions.ts';
import { examineVmmRemains } from './vmm-remains.ts';

export interface ExamineOptions {
  /** The caller has its lock: no server works on it meanwhile. */
  readonly dataDirectory: string;
  /** The memory-difference program. */
  readonly helper: string;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Where the kernel says what is mounted; for tests. */
  readonly mountInfo?: string;
}

export interface Examination {
  readonly findings: readonly Finding[];
  /** Lets go of the store; repairs come before. */
  close(): Promise<void>;
}

/**
 * Looks at all that a server keeps: its store, every byte of snapshots and of sleeping microVMs, the objects of its
 * bucket, and what belongs to nobody. Changes nothing; each finding brings its repair along.
 */
export async function examineData({
  dataDirectory,
  helper,
  now,
  mountInfo,
}: ExamineOptions): Promise<Examination> {
  const directory = await realpath(dataDirectory).catch(() => path.resolve(dataDirectory));
  const file = path.join(directory, 'dormouse.sqlite');
  if (!(await exists(file))) return { findings: [], close: async () => undefined };
  const { store: reading, problems } = openToRead(file);
  let written: Promise<Store> | undefined;
  const close = async (): Promise<void> => {
    await reading.destroy();
    await (await written)?.destroy();
  };
  try {
    const context: DataContext = {
      directory,
      helper,
      now,
      mountInfo,
      reading,
      paths: new ImagePaths(path.join(directory, 'images')),
      writing: () => {
        written ??= openDatabase(file);
        return written;
      },
    };
    const broken = problems().map((detail) => databaseFinding(file, detail));
    // What rows say that may not be true is nothing to remove files for.
    const findings = broken.length > 0 ? broken : await examineAll(context);
    return { findings: findings.toSorted(byKind), close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function examineAll(context: DataContext): Promise<readonly Finding[]> {
  const processes = await workingProcesses(context.directory);
  const inUse = new Set(processes.map(({ directory }) => directory));
  return [
    ...(await examineProcesses(context, processes)),
    ...(await examineVmmRemains(context, inUse)),
    ...(await examineVersions(context)),
    ...(await examineMicrovms(context, inUse)),
    ...(await examineCheckpoints(context)),
    ...(await examineObjects(context)),
  ];
}

function databaseFinding(file: string, detail: string): Finding {
  const remedy = 'restore the data directory from a backup, or have "sqlite3 FILE .recover" write a new file';
  return { kind: 'database', subject: file, detail, remedy };
}

function byKind(a: Finding, b: Finding): number {
  return findingKinds.indexOf(a.kind) - findingKinds.indexOf(b.kind);
}

async function exists(file: string): Promise<boolean> {
  return await access(file).then(
    () => true,
    () => false,
  );
}
