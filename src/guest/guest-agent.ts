import type { Duplex, Readable } from 'node:stream';
import type { DatagramChannel, DatagramListener } from '../model/datagrams.ts';
import type { EgressHandler } from '../model/guest-egress.ts';

/** What the guest runs as its application: the container's process as resolved from the image. */
export interface AppSpec {
  /**
   * ENTRYPOINT followed by CMD; the first word is looked up in the PATH of `env`. Empty: nothing runs, and the guest
   * holds its namespaces for commands.
   */
  readonly argv: readonly string[];
  /** Complete environment of the process, as `NAME: value`. */
  readonly env: Readonly<Record<string, string>>;
  /** Absolute path in the image; created when absent. */
  readonly workdir: string;
  readonly uid: number;
  readonly gid: number;
  readonly supplementaryGids: readonly number[];
  readonly hostname: string;
  /** `default` is the bounded set a container gets (spec section 8); `all` is every capability. */
  readonly capabilities: 'default' | 'all';
}

export type AppStatus =
  | { readonly state: 'not-started' }
  | { readonly state: 'running' }
  /** `signal` is 0 unless a signal ended the process; `code` is then 128 + signal. */
  | { readonly state: 'exited'; readonly code: number; readonly signal: number };

/** Host-chosen identity a guest must take on after every launch, resume and fork. */
export interface GuestIdentity {
  /** Wall clock to set, milliseconds since the epoch; read as late as possible by the caller. */
  readonly wallClockMs: () => number;
  /** Fresh random bytes credited to the guest kernel's generator, which is then reseeded. */
  readonly entropy: Uint8Array;
  /** Who the guest is from now on; unchanged when absent. */
  readonly name?: GuestName;
}

/** What tells a VM from others for as long as it lives. */
export interface GuestName {
  readonly hostname: string;
  /** 16 bytes each: `/proc/sys/kernel/random/boot_id` and `/etc/machine-id` are made of them. */
  readonly bootId: Uint8Array;
  readonly machineId: Uint8Array;
}

export interface GuestStats {
  readonly memoryTotalBytes: number;
  readonly memoryAvailableBytes: number;
  /** CPU time spent by the guest since boot, in seconds (user + system). */
  readonly cpuSeconds: number;
  readonly uptimeSeconds: number;
}

/** A process in the application's container. What is left out is as it is for the application: rights, too. */
export interface ExecSpec {
  readonly argv: readonly string[];
  /** Besides the application's variables, or in their place. */
  readonly env?: Readonly<Record<string, string>>;
  /** Absolute; must be there. */
  readonly workdir?: string;
  /** As `USER` of a Dockerfile has it: name or number, with `:` and a group or without. */
  readonly user?: string;
  /** Allocates a PTY of this size; otherwise stdin, stdout and stderr are separate. */
  readonly pty?: { readonly columns: number; readonly rows: number };
  /**
   * It has no input, output or terminal, and goes on without its session, which ends with code 0 as soon as the process
   * runs.
   */
  readonly detach?: boolean;
}

/** A process could not be started; `code` is the errno, such as `ENOENT` where there is no such program. */
export class ExecError extends Error {
  override readonly name = 'ExecError';
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

/** One process started in the application's namespaces. Closing the session hangs the process up. */
export interface ExecSession {
  /** Write side is the process's stdin (end it to send EOF), read side its stdout (or the PTY). */
  readonly stdio: Duplex;
  /** Absent output with a PTY, where stderr is part of `stdio`. */
  readonly stderr: Readable;
  readonly exit: Promise<{ readonly code: number; readonly signal: number }>;
  resize(columns: number, rows: number): void;
  signal(signal: number): void;
  close(): void;
}

/** @param chunk valid until the listener returns */
export type LogListener = (source: 'stdout' | 'stderr', chunk: Uint8Array) => void;

/**
 * The host's end of one guest agent session. Everything the guest says is untrusted: frames are bounded,
 * malformed ones end the session with {@link GuestProtocolError}.
 */
export interface GuestAgent {
  /** Version string the agent was built with; recorded in snapshots. */
  readonly build: string;
  /** Settles once the session is over, for whatever reason; never rejects. */
  readonly closed: Promise<void>;

  /** Starts the application. Allowed once in the life of a guest, and again after one that ended with 0. */
  startApp(spec: AppSpec): Promise<void>;
  appStatus(): Promise<AppStatus>;
  /** Resolves when the application's main process has exited (at once if it already has). Rejects when the session ends first. */
  appExit(): Promise<Extract<AppStatus, { state: 'exited' }>>;
  /**
   * Output of the application. A bounded amount is kept while no listener is attached.
   * @param onLost told how many bytes before that were dropped, if any
   */
  onLog(listener: LogListener, onLost: (bytes: number) => void): void;

  /**
   * Connects to a TCP port of the guest from 127.0.0.1 inside it, so that loopback listeners are reachable.
   * @param onTraffic called whenever payload crosses the stream in either direction
   * @throws {GuestConnectError} the guest refused, with its errno name.
   */
  connect(port: number, signal?: AbortSignal, onTraffic?: () => void): Promise<Duplex>;
  /**
   * Exchanges datagrams with a UDP port of the guest, from 127.0.0.1 or, where nothing takes them there, ::1. That
   * nothing listens on the port is not noticed, as with any datagrams.
   * @param onTraffic called for each datagram in either direction
   * @throws {GuestConnectError} the guest has too many of these
   */
  associate(
    port: number,
    onDatagram: DatagramListener,
    signal?: AbortSignal,
    onTraffic?: () => void,
  ): Promise<DatagramChannel>;
  /**
   * @param onTraffic called whenever the process is written to or writes
   * @throws {ExecError}
   */
  exec(spec: ExecSpec, onTraffic?: () => void): Promise<ExecSession>;
  /** Says who makes the guest's connections to other machines. Until then they wait. */
  onEgress(handler: EgressHandler): void;

  /**
   * Sets the clock, credits entropy, reseeds and renames, and only then lets a frozen application go on. Call after
   * every launch and resume.
   */
  assumeIdentity(identity: GuestIdentity): Promise<void>;
  stats(): Promise<GuestStats>;
  /** TCP ports in LISTEN state in the application's network namespace. */
  listeningPorts(): Promise<readonly number[]>;
  /** Flushes file systems to the disk; with `dropCaches` also gives clean page cache back. */
  sync(options: { readonly dropCaches: boolean }): Promise<void>;

  /**
   * Lets the application, and what was started beside it, execute nothing until it is thawed: what goes on in two
   * places must not run before it has an identity. One that has all capabilities is never frozen.
   */
  freeze(): Promise<void>;
  thaw(): Promise<void>;
  /**
   * Ends the session in an orderly way right before the VM is paused: the application is frozen, streams are closed in
   * the guest and the channel holds no half-written frame, so that the next session starts at once.
   */
  quiesce(): Promise<void>;
  /** Drops the session without a word. */
  close(): void;
}

/** The guest broke the agent protocol, did not answer in time, or went away. */
export class GuestProtocolError extends Error {
  override readonly name: string = 'GuestProtocolError';
}

/** The guest's agent speaks another version of the protocol: asking again is of no use. */
export class GuestVersionError extends GuestProtocolError {
  override readonly name = 'GuestVersionError';
}

/** The session ended in order because the microVM is being put to sleep. */
export class GuestAsleepError extends GuestProtocolError {
  override readonly name = 'GuestAsleepError';
}

/** Nothing accepted the connection inside the guest. */
export class GuestConnectError extends Error {
  override readonly name = 'GuestConnectError';
  /** Such as `ECONNREFUSED`. */
  readonly errno: string;

  constructor(port: number, errno: string) {
    super(`the guest refused a connection to port ${port}: ${errno}`);
    this.errno = errno;
  }
}
