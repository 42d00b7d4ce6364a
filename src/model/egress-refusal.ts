/** Something that a microVM wanted to reach and that its egress policy refused. */
export interface EgressRefusal {
  readonly kind: 'connection' | 'name';
  /** `192.0.2.1:443`, or the name that was looked up. */
  readonly target: string;
  /** How often, since it was first noted. */
  readonly count: number;
  /** Epoch milliseconds. */
  readonly lastAt: number;
}
