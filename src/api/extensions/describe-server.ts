import { defineOperation } from '../operation.ts';
import { structure } from '../shapes/shape.ts';

export const describeServer = defineOperation({
  name: 'DescribeServer',
  method: 'GET',
  path: '/dormouse/v1/server',
  status: 200,
  input: structure({}),
  async handle(_input, { api }) {
    const { realm, profile, describeServer } = api.options;
    return { ...realm, profile, ...describeServer() };
  },
});
