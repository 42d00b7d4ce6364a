/**
 * What a client calls a request by, so that sending it again changes nothing (spec section 1.7). It belongs to who
 * sends it: another's request of that name is another request.
 */
export interface ClientToken {
  /** ARN of the principal. */
  readonly principal: string;
  readonly token: string;
}
