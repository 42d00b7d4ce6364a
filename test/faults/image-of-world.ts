import { managedBaseImageArn } from '../../src/model/arn.ts';

export const realm = { region: 'us-east-1', accountId: '000000000000' };
export const imageArn = `arn:aws:lambda:${realm.region}:${realm.accountId}:microvm-image:web`;
export const memoryMib = 128;
export const appPort = 8080;

/** What a build would have found in a root disk. */
export const application = {
  argv: ['app'],
  env: {},
  workdir: '/',
  uid: 0,
  gid: 0,
  supplementaryGids: [],
  hostname: 'microvm',
  capabilities: 'default',
} as const;

const hooks = {
  port: appPort,
  microvmHooks: {
    run: 'ENABLED',
    resume: 'ENABLED',
    suspend: 'ENABLED',
    terminate: 'ENABLED',
    // Real time passes while a busy host lets the machine stand still.
    runTimeoutInSeconds: 60,
    resumeTimeoutInSeconds: 60,
    suspendTimeoutInSeconds: 60,
    terminateTimeoutInSeconds: 60,
  },
  microvmImageHooks: { ready: 'ENABLED' },
} as const;

export const imageInput = {
  baseImageArn: managedBaseImageArn(realm.region),
  buildRoleArn: 'arn:aws:iam::000000000000:role/build',
  codeArtifact: { uri: 's3://bucket/web.zip' },
  resources: [{ minimumMemoryInMiB: memoryMib }],
  hooks,
};
