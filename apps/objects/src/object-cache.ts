import type { Logger } from '@soulbox/base';
import type { OpenCache } from '@soulbox/cache';
import { hasCache } from '@soulbox/cache/settings';
import type { CacheSettings } from '@soulbox/cache/settings';
import { credentialsOfFile } from '@soulbox/storage/objects';
import type { ObjectStore } from '@soulbox/storage/objects';
import { objectMaxBytes } from '@soulbox/vault';
import { getObject } from './get-object.ts';

export type ObjectCache = OpenCache;

/** The levels of the cache, and where the credentials of Redis are. */
export interface ObjectCacheSettings extends CacheSettings {
  /** Empty: Redis needs none. */
  readonly redisCredentialsFile: string;
}

/**
 * Contents in chunks, and packs of volumes: their keys have a random part, so none is ever written again with other
 * content.
 */
const immutableForm = /^servers\/[a-z0-9]{20}\/(?:data|volumes\/packs)\//;

/** Whether an object is never replaced. Only these are cached: never a list, an index, a record or the word of an owner. */
export function isImmutable(key: string): boolean {
  return immutableForm.test(key);
}

/** A signature is used at once. Seconds. */
const signedSeconds = 300;

/** A signature may need the network. What was not loaded is loaded later, where that is possible. Milliseconds. */
const loadMs = 3000;

/**
 * Loads the code that the levels need, for a process that will not be able to read it later. `store`: absent for one that
 * cannot be opened yet, which is on local disk and signs nothing.
 */
export async function loadObjectCache(settings: ObjectCacheSettings, store: ObjectStore | undefined): Promise<void> {
  if (!hasCache(settings)) return;
  await (await import('@soulbox/cache')).loadCache(settings);
  if (settings.http === '') return;
  // Signing is a part of its own in the SDKs.
  await store?.signGet('load', { expiresSeconds: 1, signal: AbortSignal.timeout(loadMs) }).catch(() => undefined);
}

/** Undefined without a level; then nothing of the cache is loaded. Throws `config_invalid`. */
export async function openObjectCache(
  settings: ObjectCacheSettings,
  store: ObjectStore,
  logger: Logger,
): Promise<ObjectCache | undefined> {
  if (!hasCache(settings)) return undefined;
  const { openCache } = await import('@soulbox/cache');
  const { redisCredentialsFile: file } = settings;
  return await openCache(settings, {
    async source(key, signal) {
      const { info, body } = await getObject(store, key, signal);
      return { sizeBytes: info.sizeBytes, body };
    },
    sign: async (key, signal) => await store.signGet(key, { expiresSeconds: signedSeconds, signal }),
    credentials: file === '' ? undefined : credentialsOfFile(file).read,
    valueMaxBytes: objectMaxBytes,
    logger,
  });
}
