import type { Clock, Logger } from '@soulbox/base';
import type { ApiKeyRecord, Records } from '@soulbox/storage';

/** A key in constant use is written at most this often, so that reads stay reads. Milliseconds. */
const touchEveryMs = 60_000;

export interface KeyUse {
  /** Notes that the key was used now, unless that was noted within the last minute. Never throws: it is no reason to turn a caller away. */
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
