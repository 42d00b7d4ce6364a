import { EventEmitter, on } from 'node:events';
import type { LogStore, StoredLogEvent } from '../../../src/telemetry/log-store.ts';

/** Logs in memory. */
export function createMemoryLogs(): LogStore {
  const streams = new Map<string, StoredLogEvent[]>();
  const appended = new EventEmitter();

  function eventsOf(group: string, stream: string): StoredLogEvent[] {
    return streams.get(`${group}\n${stream}`) ?? [];
  }

  return {
    async append(group, stream, events) {
      const known = eventsOf(group, stream);
      const added = events.map((event, index) => ({ ...event, sequence: known.length + index + 1 }));
      streams.set(`${group}\n${stream}`, [...known, ...added]);
      appended.emit('events');
    },
    async read(group, stream, { after = 0, limit = 10_000 }) {
      return eventsOf(group, stream)
        .filter((event) => event.sequence > after)
        .slice(0, limit);
    },
    async *follow(group, stream, { after = 0 }, signal) {
      let position = after;
      const wakes = on(appended, 'events', { signal });
      for (;;) {
        for (const event of eventsOf(group, stream).filter((item) => item.sequence > position)) {
          position = event.sequence;
          yield event;
        }
        await wakes.next();
      }
    },
    async streams(group) {
      return [...streams.keys()]
        .filter((key) => key.startsWith(`${group}\n`))
        .map((key) => key.slice(group.length + 1));
    },
    close: async () => undefined,
  };
}
