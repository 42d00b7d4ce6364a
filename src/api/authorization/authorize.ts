import { accessDenied } from '../errors.ts';
import type { Call } from '../operation.ts';
import { findDenial } from './access.ts';
import { type NamedOperation, requirementsOf } from './operation-requirements.ts';

/** Operations anyone may call who has a valid key: they tell nothing but how to talk to the server. */
const openToAll: ReadonlySet<string> = new Set(['DescribeServer']);

/**
 * Lets a request of the REST-JSON services pass only where the caller's policy allows all it needs.
 * @throws {ServiceError} AccessDeniedException
 */
export async function authorize(
  operation: NamedOperation,
  input: Readonly<Record<string, unknown>>,
  call: Call,
): Promise<void> {
  if (call.permissions === 'all' || openToAll.has(operation.name)) return;
  const denial = findDenial(call, await requirementsOf(operation, input, call));
  if (denial !== undefined) throw accessDenied(call.principal, denial);
}
