import type { ServerResponse } from 'node:http';
import type { Limits } from '../model/limits.ts';
import type { Permissions } from '../model/policy.ts';
import { authorize } from './authorization/authorize.ts';
import type { PageTokens } from './page-token.ts';
import type { Throttle } from './rates.ts';
import type { ApiOptions, ApiServices } from './services.ts';
import type { Infer, Members, StructureShape } from './shapes/shape.ts';
import type { CredentialSource, Principal } from './sigv4/credentials.ts';
import type { Sessions } from './sts/sessions.ts';
import { checkInput } from './validation/check.ts';
import { type RawInput, readInput } from './validation/read.ts';

/** What an operation may use. */
export interface Api {
  readonly services: ApiServices;
  readonly options: ApiOptions;
  readonly limits: Limits;
  readonly pageTokens: PageTokens;
  readonly throttle: Throttle;
  /** Sessions of StartLiveTail that go on. */
  readonly liveTails: Set<object>;
  /** Temporary credentials. */
  readonly sessions: Sessions;
  /** Long-lived and temporary ones. */
  readonly credentials: CredentialSource;
}

export interface Call {
  readonly api: Api;
  readonly principal: Principal;
  readonly permissions: Permissions;
  readonly requestId: string;
  readonly headers: ReadonlyMap<string, string>;
  /** Aborted when the client goes away. */
  readonly signal: AbortSignal;
}

/** An answer that is not one JSON document; writes itself. */
export class StreamedAnswer {
  readonly write: (response: ServerResponse) => Promise<void>;

  constructor(write: (response: ServerResponse) => Promise<void>) {
    this.write = write;
  }
}

/** The JSON body, undefined for none, or what writes itself. */
export type Answer = object | StreamedAnswer | undefined;

export interface Operation {
  readonly name: string;
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Path template; `{member}` stands for one segment. */
  readonly path: string;
  readonly status: number;
  readonly members: Members;
  /** @throws {ServiceError} */
  run(raw: RawInput, call: Call): Promise<Answer>;
}

interface Definition<M extends Members> extends Omit<Operation, 'run' | 'members'> {
  readonly input: StructureShape<M>;
  handle(input: Infer<StructureShape<M>>, call: Call): Promise<Answer>;
}

/** Ties an operation's request shape to its code: `handle` sees only input that is valid and allowed. */
export function defineOperation<const M extends Members>(definition: Definition<M>): Operation {
  const { input, handle, ...rest } = definition;
  return {
    ...rest,
    members: input.members,
    async run(raw, call) {
      const read = readInput(input.members, raw);
      const { options, limits } = call.api;
      checkInput(input.members, read, { profile: options.profile, limits });
      await authorize(definition, read, call);
      return await handle(read as Infer<StructureShape<M>>, call);
    },
  };
}
