/** A page of results, and where the next one starts: an internal position the API wraps into an opaque token. */
export interface Page<Item> {
  readonly items: readonly Item[];
  readonly next: string | undefined;
}

export interface PageRequest {
  readonly limit: number;
  readonly after: string | undefined;
}
