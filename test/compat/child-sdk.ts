/** A program that knows nothing of Dormouse: the official clients, configured by environment and files alone. */
import { LambdaMicrovms } from '@aws-sdk/client-lambda-microvms';
import { STS } from '@aws-sdk/client-sts';

try {
  const { Arn } = await new STS().getCallerIdentity();
  const { items } = await new LambdaMicrovms({ maxAttempts: 1 }).listMicrovms();
  console.log(JSON.stringify({ Arn, items }));
} catch (error) {
  const { name, $metadata } = error as { name: string; $metadata?: { httpStatusCode?: number } };
  console.log(JSON.stringify({ error: name, status: $metadata?.httpStatusCode }));
}
