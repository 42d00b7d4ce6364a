import type { PortProtocol, PublishedPort } from '../model/published-port.ts';

/** Ports of microVMs opened on the host; an extension. Methods throw {@link ServiceError}. */
export interface PublishedPortService {
  publish(input: {
    readonly microvmId: string;
    readonly protocol: PortProtocol;
    readonly guestPort: number;
    readonly hostPort?: number | undefined;
    readonly allow: readonly string[];
  }): Promise<PublishedPort>;
  list(microvmId: string): Promise<readonly PublishedPort[]>;
  unpublish(port: Pick<PublishedPort, 'microvmId' | 'protocol' | 'guestPort'>): Promise<void>;
}
