import type { Logger } from 'pino';
import type { Assets } from '../assets.ts';
import type { ArtifactSource } from '../blobs/artifact-source.ts';
import type { Realm } from '../model/arn.ts';
import type { Clock } from '../model/clock.ts';
import { limits as limitTables, type Profile } from '../model/limits.ts';
import type { KnownConnectors } from '../network/connectors/resolve-connectors.ts';
import type { GuestNetwork } from '../network/guest-network.ts';
import type { Store } from '../store/database.ts';
import type { EventLog } from '../store/event-log.ts';
import type { LogStore } from '../telemetry/log-store.ts';
import { Metrics } from '../telemetry/metrics.ts';
import type { Vmm } from '../vmm/vmm.ts';
import { measured } from './build-metrics.ts';
import type { BuildRoom } from './build-room.ts';
import { ContainerEngines } from './container-engines.ts';
import { ImagePaths } from './image-paths.ts';
import type { ImageService } from './image-service.ts';
import { Images } from './images.ts';
import { runPipeline } from './pipeline.ts';

export interface ImageServiceOptions {
  readonly store: Store;
  /** Where changes of state are told; in the store alone when absent. */
  readonly events?: EventLog | undefined;
  readonly vmm: Vmm;
  readonly artifacts: ArtifactSource;
  readonly logs: Pick<LogStore, 'append'>;
  readonly network: GuestNetwork;
  /** Where figures are kept; nobody sees them when absent. */
  readonly metrics?: Metrics | undefined;
  readonly connectors: KnownConnectors;
  readonly profile: Profile;
  readonly realm: Realm;
  readonly assets: Pick<Assets, 'containerStorage'>;
  /** The room's own directory; created when absent. */
  readonly directory: string;
  /** What build steps see of the host; nothing when absent. */
  readonly buildSteps?: { readonly extraCertificates?: string | undefined; readonly proxy: boolean };
  readonly clock: Clock;
  /** Whether a VM that is not yet TERMINATED uses the image, or the version of it. */
  readonly hasLiveMicrovms: (imageArn: string, imageVersion?: string) => Promise<boolean>;
  readonly onWithdrawn: (imageArn: string, imageVersion?: string) => Promise<void>;
  /** The host's, for the VMs of builds. */
  readonly room: BuildRoom;
  readonly logger: Logger;
}

/** Opens the images room; {@link ImageService.recover} must be called before anything else. */
export function createImageService(options: ImageServiceOptions): ImageService {
  const { vmm, artifacts, logs, logger, clock, realm } = options;
  const paths = new ImagePaths(options.directory);
  const metrics = options.metrics ?? new Metrics();
  const engines = new ContainerEngines({
    directory: paths.containers,
    baseStorage: options.assets.containerStorage,
    hostEnvironment: process.env,
    extraCertificates: options.buildSteps?.extraCertificates,
    proxyForSteps: options.buildSteps?.proxy ?? false,
    userId: process.getuid?.() ?? 0,
  });
  const dropped = metrics.count(
    'build_output_dropped_bytes_total',
    'Output of builds that was not stored because too much came.',
  );
  const pipeline = {
    vmm,
    artifacts,
    engines,
    logs,
    paths,
    network: options.network,
    room: options.room,
    limits: limitTables[options.profile],
    region: realm.region,
    clock,
    onLogDropped: (bytes: number) => dropped.add(bytes),
    onLogError: (error: unknown) => logger.warn({ err: error }, 'cannot write a build log'),
  };
  return new Images({
    store: options.store,
    events: options.events,
    vmm,
    paths,
    profile: options.profile,
    realm,
    connectors: options.connectors,
    clock,
    hasLiveMicrovms: options.hasLiveMicrovms,
    onWithdrawn: options.onWithdrawn,
    logger,
    metrics,
    builder: measured(
      {
        build: (record, signal) => runPipeline(pipeline, record, signal),
        prepare: () => engines.prepare(),
        tidy: (signal) => engines.tidy(signal),
        forget: (image) => engines.forget(image.id),
      },
      metrics,
    ),
  });
}
