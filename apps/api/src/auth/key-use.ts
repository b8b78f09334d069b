import type { Clock } from '@soulbox/base';
import type { ApiKeyRecord, Records } from '@soulbox/storage';

/** A key in constant use is written at most this often, so that reads stay reads. Milliseconds. */
const touchEveryMs = 60_000;

export interface KeyUse {
  /** Notes that the key was used now, unless that was noted within the last minute. */
  note(key: ApiKeyRecord): Promise<void>;
}

export function createKeyUse(records: Records, clock: Clock): KeyUse {
  return {
    note: async (key) => {
      const now = clock.now();
      if (key.lastUsedAt !== undefined && now - key.lastUsedAt < touchEveryMs) return;
      await records.apiKeys.touch(key.id, now);
    },
  };
}
