/** As at the service: roles of an account. */
export const mostRoles = 1000;

/** What a role is like that nobody has made as one: for microVMs. */
export const roleDefaults = {
  trustPolicy: JSON.stringify({
    Version: '2012-10-17',
    Statement: [
      { Effect: 'Allow', Principal: { Service: 'lambda.amazonaws.com' }, Action: 'sts:AssumeRole' },
    ],
  }),
  maximumSessionSeconds: 3600,
};
