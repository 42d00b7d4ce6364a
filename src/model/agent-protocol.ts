/**
 * Version of the protocol that host and guest agent speak; twin of `guest-agent/wire.h`. An agent sleeps in the memory
 * of its VM and wakes as the same program, so a server meets agents as old as the snapshots it restores.
 */
export const protocolVersion = 2;
