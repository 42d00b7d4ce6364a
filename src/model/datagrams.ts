/** Called for each datagram that comes; it must not throw, and what it cannot take at once it drops. */
export type DatagramListener = (datagram: Buffer) => void;

/** Longest datagram, in bytes: what UDP over IPv4 carries. */
export const longestDatagram = 65_507;

/** A way for datagrams to somewhere and back. Like UDP it drops what finds no room. */
export interface DatagramChannel {
  /** @returns false when the datagram is dropped: too much is under way, or it is too long */
  send(datagram: Uint8Array): boolean;
  /** Settles once nothing will come any more; never rejects. */
  readonly closed: Promise<void>;
  close(): void;
}
