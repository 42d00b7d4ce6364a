/** Guest and build logs, by group and stream as the service names them (spec sections 3.5 and 10). */

export interface LogEvent {
  /** Milliseconds since the epoch. */
  readonly timestamp: number;
  /** One line, without its line end; at most 256 KiB. */
  readonly message: string;
}

export interface StoredLogEvent extends LogEvent {
  /** Position in the stream, strictly growing. */
  readonly sequence: number;
}

export interface LogRead {
  /** Only events with a greater sequence; all when absent. */
  readonly after?: number | undefined;
  readonly limit?: number | undefined;
}

/** What is known of a stream without reading it. Times are milliseconds since the epoch, sizes bytes. */
export interface LogStreamDescription {
  readonly name: string;
  readonly createdAt: number;
  /** Of the oldest event that is still kept. */
  readonly firstEventAt: number;
  readonly lastEventAt: number;
  readonly writtenAt: number;
  readonly storedBytes: number;
}

export interface LogStore {
  append(group: string, stream: string, events: readonly LogEvent[]): Promise<void>;
  /** Events in order; empty for a stream that does not exist. */
  read(group: string, stream: string, options: LogRead): Promise<readonly StoredLogEvent[]>;
  /** What is there, then what comes, until the signal aborts. */
  follow(group: string, stream: string, options: LogRead, signal: AbortSignal): AsyncIterable<StoredLogEvent>;
  /** The stream's events one by one, without holding them all in memory. */
  scan(group: string, stream: string): AsyncIterable<StoredLogEvent>;
  /** Names of all groups, sorted. */
  groups(): Promise<readonly string[]>;
  /** The group's streams with at least one event, sorted by name; none for a group that does not exist. */
  describe(group: string): Promise<readonly LogStreamDescription[]>;
  /** Removes all that was written to a group. */
  removeGroup(group: string): Promise<void>;
  /** Names of the group's streams, sorted. */
  streams(group: string): Promise<readonly string[]>;
  close(): Promise<void>;
}

export function defaultLogGroup(imageName: string): string {
  return `/aws/lambda-microvms/${imageName}`;
}

/** Stream of a microVM: `YYYY/MM/DD[<version>]<microvmId>` in UTC of its start (spec section 10). */
export function microvmLogStream(startedAt: number, imageVersion: string, microvmId: string): string {
  return `${datePath(startedAt)}[${imageVersion}]${microvmId}`;
}

/** Streams of a build; the names are ours, the service's are unrecorded (spec section 3.5). */
export function buildLogStream(
  createdAt: number,
  imageVersion: string,
  kind: 'docker' | 'snapshot' | 'validate',
  buildId: string,
): string {
  return `${datePath(createdAt)}[${imageVersion}]build-${kind}-${buildId}`;
}

function datePath(time: number): string {
  return new Date(time).toISOString().slice(0, 10).replaceAll('-', '/');
}
