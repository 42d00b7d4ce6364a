import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { CloudWatchLogsClient, type CloudWatchLogsClientConfig } from '@aws-sdk/client-cloudwatch-logs';
import { FileLogStore } from '../../src/telemetry/file-log-store.ts';
import { startServer, type TestServer } from './server.ts';

/** A server with logs of its own, and the official client for them. */
export interface LogServer {
  readonly logs: FileLogStore;
  readonly server: TestServer;
  readonly client: CloudWatchLogsClient;
  /** Ends it; fails when the server met a fault. */
  close(): Promise<void>;
}

export async function startLogServer(settings: CloudWatchLogsClientConfig = {}): Promise<LogServer> {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'dormouse-logs-api-'));
  const logs = new FileLogStore(directory);
  const server = await startServer('relaxed', { services: { logs } });
  const client = new CloudWatchLogsClient({ ...server.client, maxAttempts: 1, ...settings });
  const close = async (): Promise<void> => {
    client.destroy();
    await server.close();
    await logs.close();
    await rm(directory, { recursive: true });
    assert.deepEqual(server.faults, []);
  };
  return { logs, server, client, close };
}
