/** A request that a client may repeat without an effect (draft-ietf-httpapi-idempotency-key-header-07). */
export interface IdempotentRequest {
  readonly teamId: string;
  /** The id of the sender and the value of the header, with a space between them. */
  readonly key: string;
  /** Keyed digest of the route and the body. */
  readonly fingerprint: string;
  /** Id under which what the request makes can be found again. */
  readonly creationId: string;
  /** The key is kept until this time. */
  readonly keptUntil: number;
}

export type BegunRequest =
  /** The key is new. */
  | { readonly is: 'new' }
  /** The key was used for the same request. `isDone`: it made something, which may be gone since. */
  | { readonly is: 'repeated'; readonly creationId: string; readonly isDone: boolean }
  /** The key was used for another request. */
  | { readonly is: 'other' }
  /** The team has too many keys. `freeAt`: when the first of them may be forgotten. */
  | { readonly is: 'full'; readonly freeAt: number };

export interface IdempotencyRecords {
  /** Records a key in one step: `new` for exactly one of any number of callers. A key that was kept long enough is new. */
  begin(request: IdempotentRequest, now: number, limit: number): Promise<BegunRequest>;
  /** Records that the request has made something. */
  finish(teamId: string, key: string): Promise<void>;
  /** Forgets the key of a request that made nothing. */
  abandon(teamId: string, key: string): Promise<void>;
  /** Removes those that were kept until before this time, `limit` at most. Returns their number. */
  purge(before: number, limit: number): Promise<number>;
}
