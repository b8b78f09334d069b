import { SoulBoxError } from '@soulbox/base';
import type { ObjectStore } from '@soulbox/storage/objects';
import { objectMaxBytes } from './object-access.ts';
import type { ObjectAccess } from './object-access.ts';

/** Access to a store that this process has opened itself. */
export function directAccess(store: ObjectStore): ObjectAccess {
  return {
    async put(key, bytes, signal, condition) {
      await store.put(key, bytes, { signal, condition });
    },
    async get(key, signal) {
      try {
        const { info, body } = await store.get(key, { signal });
        if (info.sizeBytes > objectMaxBytes) {
          body.destroy();
          throw new SoulBoxError('storage_damaged', `An object has ${info.sizeBytes} bytes, more than SoulBox writes.`);
        }
        const chunks: Uint8Array[] = [];
        for await (const chunk of body) chunks.push(chunk);
        return { bytes: Buffer.concat(chunks), version: info.version };
      } catch (error) {
        if (error instanceof SoulBoxError && error.reason === 'storage_not_found') return undefined;
        throw error;
      }
    },
    async delete(key, signal) {
      await store.delete(key, { signal });
    },
    async list(prefix, cursor, signal) {
      const page = await store.list({ prefix, cursor, signal });
      return {
        objects: page.objects.map(({ key, modifiedAt }) => ({ key, modifiedAtMs: modifiedAt.getTime() })),
        cursor: page.cursor,
      };
    },
  };
}
