/** Names in a microVM's directory. */
export const sandboxFiles = {
  /** OCI bundle: what the sandbox is made of. */
  bundle: 'bundle',
  /** What runsc knows of its sandbox, and its control socket where the path is short enough. */
  state: 'runsc',
  /** The two directions of the channel to the agent. */
  toGuest: 'agent.in',
  fromGuest: 'agent.out',
  /** What the sandbox's kernel and the agent say; it ends with the sandbox. */
  console: 'console',
  process: 'sandbox.json',
  /** A checkpoint made whole again for a restore; of no use afterwards. */
  restore: 'restore',
} as const;

/** Where the agent is in a root file system for this engine; it takes itself away as soon as it runs. */
export const agentInRoot = '.dormouse-init';
