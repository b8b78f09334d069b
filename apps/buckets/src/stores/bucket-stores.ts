import { SoulBoxError } from '@soulbox/base';
import type { Logger } from '@soulbox/base';
import type { BucketAccess, BucketRecords } from '@soulbox/contract/bucket-record-service';
import { FuseError } from '@soulbox/fuse';
import type { ObjectStore } from '@soulbox/storage/objects';
import { accessAgainMs, accessMs, replacedStoreMs } from '../limits.ts';

export interface BucketPlace {
  readonly teamId: string;
  readonly bucketId: string;
}

/** The store of a bucket, as long as it is used. */
export interface UsedStore extends AsyncDisposable {
  /**
   * Follows changes of address, credentials and of `readOnly`, which it asks of control every ten seconds. While control is
   * away, the last ones count. Changes of a bucket that is read-only fail with EROFS.
   */
  readonly store: ObjectStore;
  /** As control said last. */
  isReadOnly(): boolean;
}

export interface BucketStores extends AsyncDisposable {
  /** All users of a bucket share its store. Nothing is asked of control before the first call of the store. */
  use(place: BucketPlace): UsedStore;
}

export interface BucketStoresOptions {
  readonly records: BucketRecords;
  readonly open: (access: BucketAccess) => Promise<ObjectStore>;
  readonly logger: Logger;
  /** Default: ten seconds. */
  readonly freshMs?: number;
}

interface Opened {
  readonly access: BucketAccess;
  readonly store: ObjectStore;
}

interface Shared extends AsyncDisposable {
  readonly store: ObjectStore;
  readonly isReadOnly: () => boolean;
  users: number;
}

export function createBucketStores(options: BucketStoresOptions): BucketStores {
  const shared = new Map<string, Shared>();
  return {
    use(place) {
      const key = `${place.teamId}/${place.bucketId}`;
      const one = shared.get(key) ?? { ...createFollowingStore(place, options), users: 0 };
      shared.set(key, one);
      one.users += 1;
      return {
        store: one.store,
        isReadOnly: () => one.isReadOnly(),
        async [Symbol.asyncDispose]() {
          one.users -= 1;
          if (one.users > 0) return;
          shared.delete(key);
          await one[Symbol.asyncDispose]();
        },
      };
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([...shared.values()].map((one) => one[Symbol.asyncDispose]()));
      shared.clear();
    },
  };
}

function createFollowingStore(
  place: BucketPlace,
  { records, open, logger, freshMs = accessMs }: BucketStoresOptions,
): Omit<Shared, 'users'> {
  let opened: Opened | undefined;
  let validUntil = 0;
  let asking: Promise<Opened> | undefined;
  /** Stores that were replaced, and when they are closed. */
  const replaced = new Map<ObjectStore, NodeJS.Timeout>();

  const replace = (store: ObjectStore): void => {
    const close = (): void => {
      replaced.delete(store);
      void closeStore(store);
    };
    replaced.set(store, setTimeout(close, replacedStoreMs).unref());
  };
  const closeStore = async (store: ObjectStore): Promise<void> => {
    try {
      await store[Symbol.asyncDispose]();
    } catch (err) {
      logger.warn({ err }, 'a store could not be closed');
    }
  };
  const ask = async (): Promise<Opened> => {
    let access: BucketAccess;
    try {
      access = await records.get(place);
    } catch (error) {
      if (opened === undefined || !isAway(error)) throw error;
      validUntil = performance.now() + Math.min(accessAgainMs, freshMs);
      return opened;
    }
    validUntil = performance.now() + freshMs;
    const isSame = opened?.access.url === access.url && opened.access.credentials === access.credentials;
    if (opened !== undefined && isSame) return { access, store: opened.store };
    const store = await open(access);
    if (opened !== undefined) replace(opened.store);
    return { access, store };
  };
  const current = async (): Promise<Opened> => {
    if (opened !== undefined && performance.now() < validUntil) return opened;
    asking ??= ask().finally(() => (asking = undefined));
    opened = await asking;
    return opened;
  };
  const read = async <T>(work: (store: ObjectStore) => Promise<T>): Promise<T> => await work((await current()).store);
  const change = async <T>(work: (store: ObjectStore) => Promise<T>): Promise<T> => {
    const { store, access } = await current();
    if (access.isReadOnly) throw new FuseError('EROFS', 'The bucket is read-only.');
    return await work(store);
  };
  return {
    isReadOnly: () => opened?.access.isReadOnly ?? false,
    store: {
      url: `bucket:${place.bucketId}`,
      put: async (key, content, how) => await change((store) => store.put(key, content, how)),
      get: async (key, how) => await read((store) => store.get(key, how)),
      stat: async (key, how) => await read((store) => store.stat(key, how)),
      delete: async (key, how) => await change((store) => store.delete(key, how)),
      list: async (query) => await read((store) => store.list(query)),
      copy: async (from, to, how) => await change((store) => store.copy(from, to, how)),
      signGet: async (key, how) => await read((store) => store.signGet(key, how)),
      signPut: async (key, how) => await change((store) => store.signPut(key, how)),
      [Symbol.asyncDispose]: async () => await Promise.resolve(),
    },
    async [Symbol.asyncDispose]() {
      for (const timer of replaced.values()) clearTimeout(timer);
      const stores = [...replaced.keys(), ...(opened === undefined ? [] : [opened.store])];
      await Promise.all(stores.map((store) => store[Symbol.asyncDispose]()));
    },
  };
}

const isAway = (error: unknown): boolean => error instanceof SoulBoxError && error.reason === 'control_unavailable';
