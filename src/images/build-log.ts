import type { ImageVersion } from '../model/image.ts';
import type { BuildRecord } from '../store/images.ts';
import { LogPump, type LogPumpOptions } from '../telemetry/log-pump.ts';
import { buildLogStream, defaultLogGroup } from '../telemetry/log-store.ts';

export type BuildLogKind = Parameters<typeof buildLogStream>[2];

/** A stream of a build's log; what is written is cut into lines. */
export interface BuildLog {
  write(source: string, chunk: Uint8Array): void;
  /** Output is missing here. */
  lose(bytes: number): void;
  /** Writes one line of our own. */
  note(line: string): void;
  end(): Promise<void>;
}

const silent: BuildLog = {
  write: () => undefined,
  lose: () => undefined,
  note: () => undefined,
  end: async () => undefined,
};

/** Opens one of the streams of spec section 3.5; a version whose logging is disabled gets a silent one. */
export function openBuildLog(
  record: BuildRecord,
  kind: BuildLogKind,
  options: Omit<LogPumpOptions, 'destination'>,
): BuildLog {
  const group = logGroup(record.version, record.image.name);
  if (group === undefined) return silent;
  const stream = buildLogStream(
    record.build.createdAt,
    record.version.imageVersion,
    kind,
    record.build.buildId,
  );
  const pump = new LogPump({ ...options, destination: { group, stream } });
  return {
    write: (source, chunk) => pump.write(source, chunk),
    lose: (bytes) => pump.lose(bytes),
    note: (line) => pump.write('note', Buffer.from(`${line}\n`)),
    end: () => pump.end(),
  };
}

function logGroup(version: ImageVersion, imageName: string): string | undefined {
  const { logging } = version.configuration;
  if (logging === null) return defaultLogGroup(imageName);
  return 'disabled' in logging ? undefined : (logging.cloudWatch.logGroup ?? defaultLogGroup(imageName));
}
