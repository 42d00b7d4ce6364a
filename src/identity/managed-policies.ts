import { noSuchManagedPolicy } from '../errors/iam.ts';

const prefix = 'arn:aws:iam::aws:policy/';

/** Policies of the service's own that deploy scripts attach, by the end of their ARN: all actions and resources. */
const actionsOf: Readonly<Record<string, readonly string[]>> = {
  AdministratorAccess: ['*'],
  AmazonS3FullAccess: ['s3:*'],
  AmazonS3ReadOnlyAccess: ['s3:Get*', 's3:List*', 's3:Describe*'],
  CloudWatchLogsFullAccess: ['logs:*'],
  'service-role/AWSLambdaBasicExecutionRole': [
    'logs:CreateLogGroup',
    'logs:CreateLogStream',
    'logs:PutLogEvents',
  ],
};

/**
 * Document of a policy that can be attached.
 * @throws {IamError} NoSuchEntity
 */
export function managedPolicy(arn: string): string {
  const name = arn.startsWith(prefix) ? arn.slice(prefix.length) : '';
  const actions = Object.hasOwn(actionsOf, name) ? actionsOf[name] : undefined;
  if (actions === undefined) throw noSuchManagedPolicy(arn, Object.keys(actionsOf));
  return JSON.stringify({
    Version: '2012-10-17',
    Statement: [{ Effect: 'Allow', Action: actions, Resource: '*' }],
  });
}

/** Name of an attached policy, which is the end of its ARN without the path. */
export function managedPolicyName(arn: string): string {
  return arn.slice(arn.lastIndexOf('/') + 1);
}
