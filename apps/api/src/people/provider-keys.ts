import { SoulBoxError } from '@soulbox/base';
import type { Clock } from '@soulbox/base';
import { createLocalJWKSet, errors } from 'jose';
import type { JSONWebKeySet, JWTVerifyGetKey } from 'jose';
import { boundedFetch } from './bounded-fetch.ts';
import type { TokenSource } from './provider.ts';

/**
 * The public keys of the provider. Strangers can make this server ask for them, so it asks seldom, for all at once, and
 * remembers failures. Who needs no new key never waits.
 */
export interface ProviderKeys {
  /** Throws `provider_unavailable`. */
  findSource(): Promise<TokenSource>;
  /**
   * The key of a token. Throws `provider_unavailable` while it cannot be known whether the provider has this key, and
   * the library's errors if it has none.
   */
  readonly get: JWTVerifyGetKey;
}

export interface ProviderKeysOptions {
  readonly findTokenSource: () => Promise<TokenSource>;
  readonly clock: Clock;
}

interface Known {
  readonly url: string;
  readonly fetchedAt: number;
  readonly find: JWTVerifyGetKey;
}

/** How long keys are kept. Milliseconds. */
const freshMs = 10 * 60_000;
/** Time between two requests for keys, whatever became of the first. Milliseconds. */
const pauseMs = 5000;
/** Tokens that wait for the provider at the same time. */
const waitingMax = 64;

export function createProviderKeys({ findTokenSource, clock }: ProviderKeysOptions): ProviderKeys {
  let known: Known | undefined;
  let fetching: Promise<Known> | undefined;
  let nextFetchAt = 0;
  // Apart: who waits for a new key must not be in the way of those who only need the source, which is kept.
  const [atSource, atKeys] = [createQueue(), createQueue()];
  const findSource = async (): Promise<TokenSource> => await atSource(findTokenSource);

  const fetchKeys = async (url: string): Promise<Known> => {
    const now = clock.now();
    // A clock that was set back must not stop the fetching.
    const isTooEarly = now < nextFetchAt && nextFetchAt - now <= pauseMs;
    if (fetching === undefined && isTooEarly) throw unavailable('The keys of the identity provider were just read.');
    nextFetchAt = now + pauseMs;
    fetching ??= requestKeys(url, now).finally(() => (fetching = undefined));
    return await atKeys(async () => (known = await (fetching as Promise<Known>)));
  };

  return {
    findSource,
    async get(header, token) {
      const { keysUrl } = await findSource();
      const now = clock.now();
      const kept = known;
      if (kept?.url === keysUrl && now - kept.fetchedAt < freshMs) {
        // A key that cannot be used may have been replaced.
        const key = await findKey(kept, header, token).catch(() => undefined);
        if (key !== undefined) return key;
      }
      const key = await findKey(await fetchKeys(keysUrl), header, token);
      if (key !== undefined) return key;
      throw new errors.JWKSNoMatchingKey();
    },
  };
}

type Queue = <T>(work: () => Promise<T>) => Promise<T>;

function createQueue(): Queue {
  let waiting = 0;
  return async (work) => {
    if (waiting >= waitingMax) throw unavailable('Too many logout tokens wait for the identity provider.');
    waiting += 1;
    try {
      return await work();
    } finally {
      waiting -= 1;
    }
  };
}

/** Undefined if the set has no such key. */
async function findKey({ find }: Known, ...[header, token]: Parameters<JWTVerifyGetKey>) {
  try {
    return await find(header, token);
  } catch (cause) {
    if (cause instanceof errors.JWKSNoMatchingKey) return undefined;
    if (cause instanceof errors.JWKSMultipleMatchingKeys) throw cause;
    throw unavailable('The identity provider has no valid keys.', cause);
  }
}

async function requestKeys(url: string, fetchedAt: number): Promise<Known> {
  const answer = await boundedFetch(url, { method: 'GET', headers: { accept: 'application/json' } });
  try {
    if (answer.status !== 200) throw new RangeError(`The status was ${answer.status}.`);
    return { url, fetchedAt, find: createLocalJWKSet((await answer.json()) as JSONWebKeySet) };
  } catch (cause) {
    throw unavailable('The identity provider has no valid keys.', cause);
  }
}

function unavailable(what: string, cause?: unknown): SoulBoxError {
  return new SoulBoxError('provider_unavailable', `${what} Retry in some seconds.`, { cause });
}
