import { malformedPolicy } from '../errors.ts';
import { PolicyError, parsePolicy } from '../model/policy-document.ts';

/** @throws {ServiceError} the document is no policy, or asks for more than is understood */
export function checkPolicy(policy: string): void {
  try {
    parsePolicy(policy);
  } catch (error) {
    if (error instanceof PolicyError) throw malformedPolicy(error.message);
    throw error;
  }
}
