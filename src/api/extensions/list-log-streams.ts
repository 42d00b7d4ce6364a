import { defineOperation } from '../operation.ts';
import { inQuery, required, structure, text } from '../shapes/shape.ts';

export const logName = text({ min: 1, max: 512 });

/** Names of a log group's streams. */
export const listLogStreams = defineOperation({
  name: 'ListLogStreams',
  method: 'GET',
  path: '/dormouse/v1/log-streams',
  status: 200,
  input: structure({ group: inQuery(required(logName)) }),
  async handle({ group }, { api }) {
    return { streams: await api.services.logs.streams(group) };
  },
});
