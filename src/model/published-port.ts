/** A port of a microVM that is open on the host; an extension. */
export interface PublishedPort {
  readonly microvmId: string;
  readonly protocol: PortProtocol;
  readonly guestPort: number;
  readonly hostPort: number;
  /** Source networks that may use it, such as `10.0.0.0/8`; nobody else can. */
  readonly allow: readonly string[];
}

export const portProtocols = ['tcp', 'udp'] as const;
export type PortProtocol = (typeof portProtocols)[number];
