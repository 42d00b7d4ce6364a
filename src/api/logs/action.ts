import type { LogStore } from '../../telemetry/log-store.ts';
import type { Api, StreamedAnswer } from '../operation.ts';
import type { Infer, Members, StructureShape } from '../shapes/shape.ts';

export interface LogsCall {
  readonly api: Api;
  readonly requestId: string;
  /** Aborted when the client goes away. */
  readonly signal: AbortSignal;
  readonly logs: LogStore;
  /** Sessions of StartLiveTail that go on. */
  readonly sessions: Set<object>;
}

/** One operation of CloudWatch Logs, named in the `X-Amz-Target` header. */
export interface LogsAction {
  readonly name: string;
  readonly members: Members;
  /** @throws {ServiceError | LogsError} */
  run(input: object, call: LogsCall): Promise<object | StreamedAnswer>;
}

/** Ties an action's request shape to its code: `handle` sees only input that passed every constraint. */
export function defineAction<const M extends Members>(definition: {
  readonly name: string;
  readonly input: StructureShape<M>;
  handle(input: Infer<StructureShape<M>>, call: LogsCall): Promise<object | StreamedAnswer>;
}): LogsAction {
  const { name, input, handle } = definition;
  return {
    name,
    members: input.members,
    run: (checked, call) => handle(checked as Infer<StructureShape<M>>, call),
  };
}
