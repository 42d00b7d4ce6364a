import { IamError, iamStatus } from '../../errors/iam.ts';
import { findDenial } from '../authorization/access.ts';
import { accessDenied } from '../errors.ts';
import type { ClaimedExchange } from '../http/exchange.ts';
import type { Api } from '../operation.ts';
import { answerQuery, type QueryCall, type QueryService } from '../query/answer.ts';
import { listValues, readTags } from '../query/members.ts';
import type { IamAction } from './action.ts';
import { policyActions } from './policy-actions.ts';
import { roleActions } from './role-actions.ts';

/** What is served of IAM: roles for microVMs and builds, mapped onto the server's own policies. */
export const iamActions: readonly IamAction[] = [...roleActions, ...policyActions];

const service: QueryService<IamAction> = {
  namespace: 'https://iam.amazonaws.com/doc/2010-05-08/',
  scope: 'global',
  actions: iamActions,
  async perform(action, input, call) {
    await authorize(action.name, input, call);
    const { api, form } = call;
    return await action.run(input, { api, roles: api.services.roles, form });
  },
  describe: (error) =>
    error instanceof IamError
      ? { status: iamStatus[error.code], code: error.code, message: error.message }
      : undefined,
};

/** Answers requests to IAM. */
export async function answerIam(exchange: ClaimedExchange, api: Api): Promise<void> {
  await answerQuery(exchange, api, service);
}

/** @throws {ServiceError} AccessDeniedException */
async function authorize(
  name: string,
  input: Readonly<Record<string, unknown>>,
  { api, caller, form }: QueryCall,
): Promise<void> {
  if (caller.permissions === 'all') return;
  const { accountId } = api.options.realm;
  const roleName = typeof input.RoleName === 'string' ? input.RoleName : undefined;
  const known = roleName === undefined ? undefined : await api.services.roles.find(roleName);
  const path = typeof input.Path === 'string' ? input.Path : '/';
  const resource = known?.arn ?? `arn:aws:iam::${accountId}:role${path}${roleName ?? '*'}`;
  const requestTags = readTags(form);
  const denial = findDenial(caller, [
    {
      action: `iam:${name}`,
      resource,
      resourceTags: known?.tags,
      requestTags,
      tagKeys: [...Object.keys(requestTags), ...listValues(form, 'TagKeys')],
    },
  ]);
  if (denial !== undefined) throw accessDenied(caller.principal, denial);
}
