import { openObjectStore } from '@soulbox/storage/objects';
import type { ObjectStore } from '@soulbox/storage/objects';
import { objectMaxBytes } from '@soulbox/vault';

const mib = 1024 * 1024;

/** The store, to which every object of ours is sent as a whole: one of the usual parts is a few bytes too small for that. */
export async function openStore(url: string, credentialsFile: string): Promise<ObjectStore> {
  return await openObjectStore(url, {
    ...(credentialsFile === '' ? {} : { credentialsFile }),
    limits: { partBytes: Math.ceil(objectMaxBytes / mib) * mib },
  });
}
