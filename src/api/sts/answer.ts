import type { ClaimedExchange } from '../http/exchange.ts';
import type { Api } from '../operation.ts';
import { answerQuery, type QueryService } from '../query/answer.ts';
import { type StsAction, stsActions } from './actions.ts';

const service: QueryService<StsAction> = {
  namespace: 'https://sts.amazonaws.com/doc/2011-06-15/',
  scope: 'regional',
  actions: stsActions,
  perform: async (action, input, { api, exchange, caller }) =>
    await action.run(input, {
      principal: caller.principal,
      permissions: caller.permissions,
      origin: caller.origin,
      roles: api.services.rolePolicies,
      temporary: exchange.claim.sessionToken !== undefined,
      sessions: api.sessions,
      now: api.options.clock.now(),
    }),
  describe: () => undefined,
};

/** Answers requests to STS. */
export async function answerSts(exchange: ClaimedExchange, api: Api): Promise<void> {
  await answerQuery(exchange, api, service);
}
