import { SoulBoxError } from '@soulbox/base';
import type { ObjectStore, OpenObject } from '@soulbox/storage/objects';
import { objectMaxBytes } from '@soulbox/vault';

/** Opens an object. Throws `storage_damaged` for one that is larger than any that SoulBox writes. */
export async function getObject(store: ObjectStore, key: string, signal: AbortSignal): Promise<OpenObject> {
  const opened = await store.get(key, { signal });
  const { sizeBytes } = opened.info;
  if (sizeBytes <= objectMaxBytes) return opened;
  opened.body.destroy();
  throw new SoulBoxError('storage_damaged', `An object has ${sizeBytes} bytes, more than SoulBox writes.`);
}
