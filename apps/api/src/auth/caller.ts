import type { TeamRecord } from '@soulbox/storage';

/** The caller: the team that the key belongs to. */
export interface Caller {
  readonly team: TeamRecord;
  readonly keyId: string;
  /** The isolation that the key sets for requests that specify none. Empty: none. */
  readonly isolation: string;
}
