import assert from 'node:assert/strict';
import { access, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { originForTest } from '../../src/vmm/origin-for-test.ts';
import type { Vmm } from '../../src/vmm/vmm.ts';
import { ImageRoom } from '../support/image-room.ts';
import { until } from '../support/until.ts';

/** Every build here ends before it needs a VM. */
const noVmm: Vmm = {
  origin: originForTest,
  boot: () => assert.fail('a VM was booted'),
  launch: () => assert.fail('a VM was launched'),
  resume: () => assert.fail('a VM was resumed'),
  isSuspended: async () => false,
  isAtRest: async () => false,
  adopt: async () => undefined,
  copySuspended: () => assert.fail('a VM was copied'),
  snapshotSuspended: () => assert.fail('a VM became a snapshot'),
  assertUsable: async () => undefined,
  verify: async () => undefined,
  rollBack: () => assert.fail('a VM was rolled back'),
  finishRollBack: () => assert.fail('a VM was rolled back'),
  verifySuspended: () => assert.fail('a VM was rolled back'),
};

const base = 'FROM dormouse/python:3.11\n';

describe('builds that fail before a VM is needed', { timeout: 120_000 }, () => {
  let room: ImageRoom;

  before(async () => {
    room = await ImageRoom.open(noVmm);
  });
  after(() => room.remove());

  const cases: readonly { name: string; dockerfile: string | undefined; reason: RegExp; log: RegExp }[] = [
    {
      name: 'failing-run',
      dockerfile: `${base}RUN echo about to fail >&2; exit 3\n`,
      reason: /^The container image build failed\. Step 2 \(RUN echo .*\) failed: about to fail$/,
      log: /^about to fail$/m,
    },
    {
      name: 'unknown-instruction',
      dockerfile: `${base}RUNN true\n`,
      reason: /^The container image build failed\. .*Unknown instruction/,
      log: /Unknown instruction/,
    },
    {
      name: 'unreachable-registry',
      dockerfile: 'FROM registry.invalid/some/thing:1\n',
      reason:
        /^The container image build failed\. The base image registry\.invalid\/some\/thing:1 .*cannot be reached/,
      log: /registry\.invalid/,
    },
    {
      name: 'no-command',
      dockerfile: 'FROM scratch\nCOPY Dockerfile /\n',
      reason: /neither an ENTRYPOINT nor a CMD/,
      log: /Built container image/,
    },
    {
      name: 'unknown-user',
      dockerfile: `${base}USER nobody-we-know\nCMD ["true"]\n`,
      reason: /no user "nobody-we-know"/,
      log: /Built container image/,
    },
    {
      name: 'missing-file',
      dockerfile: `${base}COPY nothing /\n`,
      // Nothing of where this host keeps its builds.
      reason:
        /^The container image build failed\. Step 2 \(COPY nothing \/\) failed: .* under "the context": copier: stat: "\/nothing": no such file or directory$/,
      log: /nothing/,
    },
    {
      name: 'image-of-another',
      dockerfile: 'FROM localhost/dormouse-image:latest\n',
      reason:
        /^The container image build failed\. Line 1 of the Dockerfile: "localhost\/dormouse-image:latest" is neither/,
      log: /is neither a stage above/,
    },
    {
      name: 'no-dockerfile',
      dockerfile: undefined,
      reason: /^ARCHIVE_DOCKERFILE_NOT_FOUND: /,
      log: /^ARCHIVE_DOCKERFILE_NOT_FOUND: /m,
    },
  ];
  for (const { name, dockerfile, reason, log } of cases) {
    it(name, async () => {
      await room.create(name, dockerfile === undefined ? { README: '' } : { Dockerfile: dockerfile });
      const version = await room.built(name);
      assert.deepEqual([version.state, version.status], ['FAILED', 'INACTIVE']);
      assert.match(version.stateReason ?? '', reason);
      assert.match((await room.log(name, 'docker')).join('\n'), log);
      assert.equal((await room.images.get(name)).state, 'CREATE_FAILED');
      assert.deepEqual(await room.leftovers(), []);
    });
  }

  it('an artifact that is not there', async () => {
    const image = await room.create('missing', Buffer.alloc(0), {
      codeArtifact: { uri: 's3://artifacts/nothing' },
    });
    const version = await room.built('missing');
    assert.equal(version.stateReason, 'S3_NO_SUCH_KEY: The specified key does not exist.');
    await assert.rejects(access(room.images.snapshotDirectory({ ...version, imageArn: image.imageArn })));
  });

  it('cannot look through a link of the image at files of the host', async () => {
    const users = path.join(room.directory, 'users');
    await writeFile(users, 'hostuser:x:1234:1234::/:/bin/sh\n');
    const link = `RUN rm /etc/passwd && ln -s ${users} /etc/passwd\n`;
    await room.create('link', { Dockerfile: `${base}${link}CMD ["true"]\nUSER hostuser\n` });
    assert.match((await room.built('link')).stateReason ?? '', /no user "hostuser"/);
  });

  it('waits for room on the host, says for what, and begins when there is some', async () => {
    const { promise: roomy, resolve: makeRoom } = Promise.withResolvers<void>();
    const asked: unknown[] = [];
    const taken = new Set<string>();
    const crowded = await ImageRoom.open(noVmm, undefined, {
      async reserve({ buildId, memoryMib }, { onWaiting }) {
        asked.push(memoryMib);
        onWaiting('memory');
        await roomy;
        taken.add(buildId);
        return { settle: () => undefined, release: () => taken.delete(buildId) };
      },
    });
    try {
      await crowded.create('waits', { README: '' }, { resources: [{ minimumMemoryInMiB: 512 }] });
      await until('it says that it waits', async () => (await crowded.log('waits', 'docker')).length > 0);
      makeRoom();
      assert.match((await crowded.built('waits')).stateReason ?? '', /^ARCHIVE_DOCKERFILE_NOT_FOUND/);
      assert.deepEqual((await crowded.log('waits', 'docker')).slice(0, 2), [
        'Waiting for memory: the host has not enough for this build at the moment',
        'There is room now',
      ]);
      assert.deepEqual(asked, [512]);
      assert.equal(taken.size, 0, 'a build that has ended takes no room');
    } finally {
      await crowded.remove();
    }
  });

  it('stops a build when the server goes down, and starts it again with the next', async () => {
    const dockerfile = `${base}RUN echo started; sleep 600\nCMD ["true"]\n`;
    await room.create('interrupted', { Dockerfile: dockerfile });
    const starts = async (): Promise<number> =>
      (await room.log('interrupted', 'docker')).filter((line) => line === 'started').length;
    await until('it has started', async () => (await starts()) === 1);
    await room.close();
    assert.deepEqual(await room.leftovers(), []);
    room = await ImageRoom.open(noVmm, room.directory);
    assert.equal((await room.images.get('interrupted')).state, 'CREATING');
    await until('it has started again', async () => (await starts()) === 2);
    assert.notDeepEqual(await room.leftovers(), []);
  });
});
