import type { Roles } from '../../identity/roles.ts';
import type { Api } from '../operation.ts';
import type { Infer, Members, StructureShape } from '../shapes/shape.ts';
import type { QueryParameter } from '../sigv4/uri.ts';
import type { XmlNode } from '../xml/write.ts';

export interface IamCall {
  readonly api: Api;
  readonly roles: Roles;
  /** Lists of the request, which are no members of its shape. */
  readonly form: readonly QueryParameter[];
}

export interface IamAction {
  readonly name: string;
  readonly members: Members;
  /** Children of the result element; undefined where there is none. */
  run(input: object, call: IamCall): Promise<XmlNode[] | undefined>;
}

/** Ties an action's request shape to its code: `handle` sees only input that passed every constraint. */
export function defineAction<const M extends Members>(definition: {
  readonly name: string;
  readonly input: StructureShape<M>;
  handle(input: Infer<StructureShape<M>>, call: IamCall): Promise<XmlNode[] | undefined>;
}): IamAction {
  const { name, input, handle } = definition;
  return {
    name,
    members: input.members,
    run: (checked, call) => handle(checked as Infer<StructureShape<M>>, call),
  };
}
