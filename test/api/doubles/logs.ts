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
    async *scan(group, stream) {
      yield* eventsOf(group, stream);
    },
    async removeGroup(group) {
      for (const key of streams.keys()) if (key.startsWith(`${group}\n`)) streams.delete(key);
    },
    async groups() {
      return [...new Set([...streams.keys()].map((key) => key.slice(0, key.indexOf('\n'))))].sort();
    },
    async describe(group) {
      return (await this.streams(group)).map((name) => {
        const times = eventsOf(group, name).map((event) => event.timestamp);
        const [firstEventAt = 0] = times;
        const lastEventAt = times.at(-1) ?? 0;
        const [createdAt, writtenAt, storedBytes] = [firstEventAt, lastEventAt, times.length];
        return { name, createdAt, firstEventAt, lastEventAt, writtenAt, storedBytes };
      });
    },
    async streams(group) {
      return [...streams.keys()]
        .filter((key) => key.startsWith(`${group}\n`))
        .map((key) => key.slice(group.length + 1));
    },
    close: async () => undefined,
  };
}
