import { readFile } from 'node:fs/promises';
import type { LambdaMicrovmsClient } from '@aws-sdk/client-lambda-microvms';
import type { S3Client } from '@aws-sdk/client-s3';
import { signRequest } from '../api/sigv4/sign.ts';
import type { Connection } from './connection.ts';
import { CliError, serverUnreachable } from './errors.ts';

/** What the CLI needs from `GET /dormouse/v1/server`. */
export interface ServerInformation {
  readonly region: string;
  readonly accountId: string;
  readonly vmm: string;
  readonly accelerator: string;
  readonly endpointDomain: string;
  readonly endpointPort: number;
  readonly caCertificate: string;
  readonly version: string;
}

/** A request to an extension that changes something; the body goes as JSON. */
export interface Change {
  readonly method: 'POST' | 'PUT' | 'DELETE';
  readonly body?: unknown;
}

/** A server seen through its public API. The official clients are loaded only by commands that use them. */
export class Client {
  readonly connection: Connection;
  #microvms: LambdaMicrovmsClient | undefined;
  #information: Promise<ServerInformation> | undefined;

  constructor(connection: Connection) {
    this.connection = connection;
  }

  async microvms(): Promise<LambdaMicrovmsClient> {
    if (this.#microvms === undefined) {
      const sdk = await import('@aws-sdk/client-lambda-microvms');
      this.#microvms = new sdk.LambdaMicrovmsClient({
        endpoint: this.connection.apiEndpoint,
        ...this.#identity(),
      });
    }
    return this.#microvms;
  }

  async s3(): Promise<S3Client> {
    const sdk = await import('@aws-sdk/client-s3');
    return new sdk.S3Client({
      endpoint: this.connection.s3Endpoint,
      forcePathStyle: true,
      ...this.#identity(),
    });
  }

  async server(): Promise<ServerInformation> {
    this.#information ??= this.extension('/dormouse/v1/server').then(
      async (response) => (await response.json()) as ServerInformation,
    );
    return await this.#information;
  }

  /** PEM of the authority that signs the microVM endpoints' certificates. */
  async certificateAuthority(): Promise<string> {
    const { caCertificatePath } = this.connection;
    if (caCertificatePath !== undefined) return await readFile(caCertificatePath, 'utf8');
    return (await this.server()).caCertificate;
  }

  /**
   * A signed GET of one of Dormouse's own resources.
   * @throws {CliError} with the server's message when it refuses
   */
  async extension(pathAndQuery: string, signal?: AbortSignal, change?: Change): Promise<Response> {
    const url = new URL(pathAndQuery, this.connection.apiEndpoint);
    const method = change?.method ?? 'GET';
    const body = change?.body === undefined ? undefined : JSON.stringify(change.body);
    const headers = signRequest(
      { method, url, body, headers: body === undefined ? {} : { 'content-type': 'application/json' } },
      { credentials: this.connection, region: this.connection.region, service: 'lambda' },
    );
    let response: Response;
    try {
      response = await fetch(url, { method, headers, body: body ?? null, signal: signal ?? null });
    } catch (error) {
      if (signal?.aborted) throw error;
      throw serverUnreachable(this.connection.apiEndpoint, error);
    }
    if (response.ok) return response;
    const answer = (await response.json().catch(() => ({}))) as { message?: string; Message?: string };
    throw new CliError(answer.message ?? answer.Message ?? `The server answered ${response.status}.`);
  }

  #identity() {
    const { region, accessKeyId, secretAccessKey, sessionToken } = this.connection;
    const token = sessionToken === undefined ? {} : { sessionToken };
    return { region, credentials: { accessKeyId, secretAccessKey, ...token } };
  }
}
