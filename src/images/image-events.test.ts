import assert from 'node:assert/strict';
import { it } from 'node:test';
import { eventType } from '../model/event.ts';
import { EventLog } from '../store/event-log.ts';
import { arn, built, failed, gone, open, settled } from './images-for-test.ts';

it('tells every change of image, version and build, in the order it happens', async (context) => {
  const room = await open(context);
  const log = new EventLog(room.store);
  let seen = 0;
  const news = async (): Promise<readonly string[]> => {
    const events = await log.read(seen, 100);
    seen = events.at(-1)?.sequence ?? seen;
    return events.map(
      (event) => `${eventType(event)} ${event.imageVersion ?? '-'} from ${event.from ?? '-'}`,
    );
  };

  await built(room);
  assert.deepEqual(await news(), [
    'image.creating - from -',
    'image-version.pending 1.0 from -',
    'image-build.pending 1.0 from -',
    'image-version.in_progress 1.0 from PENDING',
    'image-build.in_progress 1.0 from PENDING',
    'image-build.successful 1.0 from IN_PROGRESS',
    'image-version.successful 1.0 from IN_PROGRESS',
    'image-version.active 1.0 from INACTIVE',
    'image.created - from CREATING',
  ]);

  await built(room, '2.0', failed);
  const reasons = (await log.read(seen, 100)).filter((event) => event.to === 'FAILED');
  assert.deepEqual(
    reasons.map(({ subject, reason }) => [subject, reason !== null]),
    [
      ['image-build', true],
      ['image-version', true],
    ],
  );
  assert.deepEqual((await news()).slice(-3), [
    'image-build.failed 2.0 from IN_PROGRESS',
    'image-version.failed 2.0 from IN_PROGRESS',
    'image.update_failed - from UPDATING',
  ]);

  await room.images.setVersionStatus(arn, '1.0', 'INACTIVE');
  await room.images.setVersionStatus(arn, '1.0', 'INACTIVE');
  assert.deepEqual(await news(), ['image-version.inactive 1.0 from ACTIVE']);

  await room.images.deleteVersion(arn, '2.0');
  await settled(room, 'UPDATING');
  assert.deepEqual(await news(), [
    'image-version.deleting 2.0 from FAILED',
    'image.updating - from UPDATE_FAILED',
    'image-version.deleted 2.0 from DELETING',
    'image.updated - from UPDATING',
  ]);

  await room.images.delete(arn);
  await gone(room);
  assert.deepEqual(await news(), ['image.deleting - from UPDATED', 'image.deleted - from DELETING']);
});
