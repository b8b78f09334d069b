import { SoulBoxError } from '@soulbox/base';
import type { ApiKeyRecord } from '@soulbox/storage';

/** How often the keys of open streams are looked up. A command of the host may revoke a key without asking us. */
const lookEveryMs = 1000;

export interface WatchedKey extends Disposable {
  /** Aborted with an `unauthorized` error when the key is revoked or expires. */
  readonly signal: AbortSignal;
}

/** Notices that keys of open streams have ended. Without open streams it does nothing. */
export interface KeyWatch {
  watch(key: OpenKey): WatchedKey;
}

/** A key in use, or what a person uses in its place. Those with the same id are looked up once. */
export interface OpenKey {
  readonly id: string;
  /** Why it is no longer valid. Undefined: it is. */
  findEnd(): Promise<SoulBoxError | undefined>;
}

interface Watched {
  readonly key: OpenKey;
  readonly streams: Set<AbortController>;
}

export function createKeyWatch(): KeyWatch {
  const keys = new Map<string, Watched>();
  let timer: NodeJS.Timeout | undefined;

  const look = async (): Promise<void> => {
    for (const { key, streams } of keys.values()) {
      try {
        const end = await key.findEnd();
        if (end === undefined) continue;
        if (keys.get(key.id)?.streams === streams) keys.delete(key.id);
        for (const stream of streams) stream.abort(end);
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
    watch(key) {
      const stream = new AbortController();
      const watched = keys.get(key.id) ?? { key, streams: new Set() };
      watched.streams.add(stream);
      keys.set(key.id, watched);
      if (timer === undefined) lookAgain();
      return {
        signal: stream.signal,
        [Symbol.dispose]() {
          watched.streams.delete(stream);
          if (watched.streams.size === 0 && keys.get(key.id) === watched) keys.delete(key.id);
        },
      };
    },
  };
}

/** Why a key is not valid. Undefined: it is. */
export function whyEnded(key: Pick<ApiKeyRecord, 'expiresAt'> | undefined, now: number): SoulBoxError | undefined {
  if (key === undefined) return new SoulBoxError('unauthorized', 'Unauthorized, the API key was revoked.');
  if (key.expiresAt !== undefined && now >= key.expiresAt)
    return new SoulBoxError('unauthorized', 'Unauthorized, the API key has expired.');
  return undefined;
}
