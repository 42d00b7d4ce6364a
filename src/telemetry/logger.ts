import { destination, type Logger, pino } from 'pino';
import type { Config } from '../config.ts';

/** One JSON object per line on standard error. Secrets are never passed to it; the paths are a second net. */
export function createLogger(level: Config['logLevel']): Logger {
  return pino(
    {
      level,
      base: null,
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      redact: ['secretAccessKey', '*.secretAccessKey', 'authToken', '*.authToken', 'environmentVariables'],
    },
    destination({ fd: 2, sync: false }),
  );
}
