import { SoulBoxError } from '@soulbox/base';
import type { Clock } from '@soulbox/base';
import type { ApiKeyRecord, Records } from '@soulbox/storage';

/** How often the keys of open streams are looked up. A command of the host may revoke a key without asking us. */
const lookEveryMs = 1000;

export interface WatchedKey extends Disposable {
  /** Aborted with an `unauthorized` error when the key is revoked or expires. */
  readonly signal: AbortSignal;
}

/** Notices that keys of open streams have ended. Without open streams it does nothing. */
export interface KeyWatch {
  watch(key: { readonly teamId: string; readonly keyId: string }): WatchedKey;
}

interface Watched {
  readonly teamId: string;
  readonly streams: Set<AbortController>;
}

export function createKeyWatch({ records, clock }: { readonly records: Records; readonly clock: Clock }): KeyWatch {
  const keys = new Map<string, Watched>();
  let timer: NodeJS.Timeout | undefined;

  const look = async (): Promise<void> => {
    for (const [keyId, { teamId, streams }] of keys) {
      try {
        const end = whyEnded(await findCredential(records, teamId, keyId), clock.now());
        if (end !== undefined) for (const stream of streams) stream.abort(end);
      } catch {
        // The records cannot be read now. Requests fail for the same reason; the next look decides.
      }
    }
  };
  const lookAgain = (): void => {
    timer = setTimeout(() => {
      void look().finally(() => {
        timer = undefined;
        if (keys.size > 0) lookAgain();
      });
    }, lookEveryMs);
    timer.unref();
  };

  return {
    watch({ teamId, keyId }) {
      const stream = new AbortController();
      const watched = keys.get(keyId) ?? { teamId, streams: new Set() };
      watched.streams.add(stream);
      keys.set(keyId, watched);
      if (timer === undefined) lookAgain();
      return {
        signal: stream.signal,
        [Symbol.dispose]() {
          watched.streams.delete(stream);
          if (watched.streams.size === 0 && keys.get(keyId) === watched) keys.delete(keyId);
        },
      };
    },
  };
}

/** The key, or the session or personal token of a member of the team. */
async function findCredential(
  { apiKeys, personalTokens, sessions, memberships }: Records,
  teamId: string,
  id: string,
): Promise<Pick<ApiKeyRecord, 'expiresAt'> | undefined> {
  const key = await apiKeys.find(teamId, id);
  if (key !== undefined) return key;
  const own = (await personalTokens.find(id)) ?? (await sessions.find(id));
  if (own === undefined) return undefined;
  return (await memberships.findRole(own.userId, teamId)) === undefined ? undefined : own;
}

/** Why a key is not valid. Undefined: it is. */
export function whyEnded(key: Pick<ApiKeyRecord, 'expiresAt'> | undefined, now: number): SoulBoxError | undefined {
  if (key === undefined) return new SoulBoxError('unauthorized', 'Unauthorized, the API key was revoked.');
  if (key.expiresAt !== undefined && now >= key.expiresAt)
    return new SoulBoxError('unauthorized', 'Unauthorized, the API key has expired.');
  return undefined;
}
