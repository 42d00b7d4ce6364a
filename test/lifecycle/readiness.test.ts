import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { locateAssets } from '../../src/assets.ts';
import { chooseVmm } from '../../src/vmm/choose-vmm.ts';
import { ImageRoom } from '../support/image-room.ts';

const resources = [{ minimumMemoryInMiB: 256 }];
const base = 'FROM dormouse/python:3.11\n';
/** Listens only after a while in which it does nothing. */
const slowServer = `CMD sleep 6 && exec python3 -m http.server 3000\n`;

describe('when an application is ready', { timeout: 600_000 }, () => {
  let room: ImageRoom;

  before(async () => {
    const { vmm } = await chooseVmm('tcg', locateAssets());
    room = await ImageRoom.open(vmm);
  });
  after(() => room.remove());

  /** How an image's version came out of a Dockerfile, and how long its VM was up for it. */
  async function built(name: string, dockerfile: string, options?: object) {
    const files = options === undefined ? {} : { '.dormouse/build.json': JSON.stringify(options) };
    await room.create(name, { Dockerfile: dockerfile, ...files }, { resources });
    return await room.built(name);
  }

  test('an exposed port is waited for', async () => {
    const version = await built('slow', `${base}EXPOSE 3000\n${slowServer}`);
    assert.deepEqual([version.state, version.stateReason], ['SUCCESSFUL', null]);
  });

  test('a server that nobody could know of is told of loudly', async () => {
    const version = await built('unannounced', `${base}${slowServer}`);
    assert.equal(version.state, 'SUCCESSFUL');
    assert.match(version.stateReason ?? '', /^Nothing listens on port 8080 after \d+ s: .*EXPOSE/);
    assert.match((await room.log('unannounced', 'snapshot')).join('\n'), /^WARNING: Nothing listens/m);
  });

  test('a port that is exposed and never listens is named', async () => {
    const version = await built('silent', `${base}EXPOSE 4000\nCMD sleep infinity\n`, {
      readyTimeoutSeconds: 4,
    });
    assert.match(version.stateReason ?? '', /port 4000 \(EXPOSE\) after [4-9] s/);
  });

  test('a worker says so, by its label or when it is built', async () => {
    const labelled = await built('labelled', `${base}LABEL dormouse.worker=true\nCMD sleep infinity\n`);
    const told = await built('told', `${base}CMD sleep infinity\n`, { worker: true });
    for (const version of [labelled, told]) {
      assert.deepEqual([version.state, version.stateReason], ['SUCCESSFUL', null]);
    }
  });

  test('an application that ends with 0 leaves an image for jobs, and a line on how to use it', async () => {
    const version = await built('job', `${base}RUN echo data >/data\nCMD ["true"]\n`);
    assert.equal(version.state, 'SUCCESSFUL');
    assert.match(version.stateReason ?? '', /^The application ended with exit code 0, .*dormouse exec/);
    const told = await built('told-job', `${base}LABEL dormouse.worker=true\nCMD ["true"]\n`);
    assert.deepEqual([told.state, told.stateReason], ['SUCCESSFUL', null]);
  });

  test('a HEALTHCHECK decides, run as the application is', async () => {
    const check = 'HEALTHCHECK --interval=1s CMD test "$(cat /tmp/state)" = "$WANTED"\n';
    const healthy = `${base}ENV WANTED=good\n${check}CMD echo bad >/tmp/state; sleep 4; echo good >/tmp/state; sleep infinity\n`;
    const version = await built('healthy', healthy);
    assert.deepEqual([version.state, version.stateReason], ['SUCCESSFUL', null]);
    const never = await built('unhealthy', healthy.replace('echo good', 'echo worse'), {
      readyTimeoutSeconds: 6,
    });
    assert.match(never.stateReason ?? '', /^The HEALTHCHECK did not succeed within \d+ s/);
  });

  test('options of the build reach it, and none of the context', async () => {
    const dockerfile = `${base}ARG WORD=none\nFROM dormouse/python:3.11 AS wanted\nARG WORD=none\nSHELL ["/bin/bash", "-o", "pipefail", "-c"]
RUN ! (false | cat) && [[ $WORD == said ]]
COPY . /context
RUN test -z "$(ls -A /context | grep -v Dockerfile)"
CMD ["sleep", "infinity"]
FROM wanted
RUN false
`;
    const options = { target: 'wanted', buildArguments: { WORD: 'said' }, worker: true };
    const version = await built('options', dockerfile, options);
    assert.deepEqual([version.state, version.stateReason], ['SUCCESSFUL', null]);
    const whole = await built('whole', dockerfile, { ...options, target: undefined });
    assert.match(whole.stateReason ?? '', /RUN false/);
  });
});
