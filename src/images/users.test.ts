import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { BuildFailure } from './build-failure.ts';
import { resolveAccount } from './users.ts';

const files = {
  passwd: `# comment
root:x:0:0:root:/root:/bin/bash
app:x:1000:1001::/home/app:/bin/sh
12:x:77:78::/twelve:/bin/sh
broken
huge:x:99999999999:0::/:/bin/sh
`,
  group: `root:x:0:
app:x:1001:
docker:x:55:other,app
mail:x:8:app
gone:x:notanumber:app
`,
};

describe('resolveAccount', () => {
  const cases: readonly [string, number, number, readonly number[], string][] = [
    ['', 0, 0, [0], '/root'],
    ['root', 0, 0, [0], '/root'],
    ['app', 1000, 1001, [1001, 55, 8], '/home/app'],
    ['1000', 1000, 1001, [1001, 55, 8], '/home/app'],
    ['app:docker', 1000, 55, [55], '/home/app'],
    ['app:4', 1000, 4, [4], '/home/app'],
    ['4242', 4242, 0, [0], '/'],
    ['4242:17', 4242, 17, [17], '/'],
    ['12', 77, 78, [78], '/twelve'],
    [':docker', 0, 55, [55], '/root'],
  ];
  for (const [user, uid, gid, supplementaryGids, home] of cases) {
    it(`USER ${JSON.stringify(user)}`, () => {
      assert.deepEqual(resolveAccount(user, files), { uid, gid, supplementaryGids, home });
    });
  }

  it('needs no account files for numbers', () => {
    const none = { passwd: '', group: '' };
    assert.deepEqual(resolveAccount('5:6', none), { uid: 5, gid: 6, supplementaryGids: [6], home: '/' });
  });

  it('knows root in an image without account files', () => {
    const root = { uid: 0, gid: 0, supplementaryGids: [0], home: '/root' };
    for (const user of ['root', 'root:root']) {
      assert.deepEqual(resolveAccount(user, { passwd: '', group: '' }), root);
    }
  });

  for (const user of ['nobody', 'app:nogroup', 'huge', '-1', '99999999999', '4294967295']) {
    it(`refuses ${user}`, () => {
      assert.throws(() => resolveAccount(user, files), BuildFailure);
    });
  }
});
