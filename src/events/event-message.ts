import { eventType, type StateEvent } from '../model/event.ts';

/** An event as readers of the stream and webhooks get it; times in epoch seconds like everywhere on the wire. */
export function eventMessage(event: StateEvent): object {
  const { sequence, time, microvmId, imageArn, imageVersion, buildId, from, to, reason } = event;
  return {
    sequence,
    time: time / 1000,
    type: eventType(event),
    microvmId,
    imageArn,
    imageVersion,
    buildId,
    from,
    to,
    reason,
  };
}
