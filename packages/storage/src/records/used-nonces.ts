import type { AuditNote } from './audit.ts';

/** The nonce of a signed URL that may be used only once. */
export interface UsedNonce {
  readonly teamId: string;
  readonly nonce: string;
  /** It is kept until this time, when its URL has expired. */
  readonly keptUntil: number;
}

export interface UsedNonceRecords {
  /**
   * Records the use of a nonce in one step: `used` for exactly one of any number of callers, `replayed` for all others.
   * `full` if the team has `limit` nonces whose URLs have not expired: none of them is ever dropped early. The `note`
   * is committed together with a use.
   */
  use(nonce: UsedNonce, now: number, limit: number, note?: AuditNote): Promise<'used' | 'replayed' | 'full'>;
  /** The number of the team's nonces, including those that can be purged. */
  count(teamId: string): Promise<number>;
  /** Removes those that were kept until before this time, `limit` at most. Returns their number. */
  purge(before: number, limit: number): Promise<number>;
}
