import type { Clock, Logger } from '@soulbox/base';
import type { ApiKeyRecord, Records } from '@soulbox/storage';

/** Minimum interval between writes for a key in constant use, so that reads do not cause writes. Milliseconds. */
const touchEveryMs = 60_000;

export interface KeyUse {
  /**
   * Records that the key was used now, unless that was recorded within the last minute. Never throws: a failure is no
   * reason to refuse a caller.
   */
  note(key: ApiKeyRecord): Promise<void>;
}

export function createKeyUse(records: Records, clock: Clock, logger: Logger): KeyUse {
  return {
    note: async (key) => {
      const now = clock.now();
      if (key.lastUsedAt !== undefined && now - key.lastUsedAt < touchEveryMs) return;
      try {
        await records.apiKeys.touch(key.id, now);
      } catch (err) {
        logger.warn({ keyId: key.id, err }, 'use of an API key could not be recorded');
      }
    },
  };
}
