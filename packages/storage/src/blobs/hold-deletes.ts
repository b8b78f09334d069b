import type { BlobStore } from './blobs.ts';

/**
 * Blobs whose deletions can be delayed, so that the blobs that the records name at one moment can be copied a moment
 * later.
 */
export interface HoldableBlobs extends BlobStore {
  /** No blob is deleted until disposed; then all delayed deletions are done. */
  holdDeletes(): AsyncDisposable;
}

export function holdableBlobs(blobs: BlobStore): HoldableBlobs {
  const waiting = new Set<string>();
  let holders = 0;
  return {
    put: async (key, content) => {
      // Otherwise the end of the hold would delete the new one.
      waiting.delete(key);
      return await blobs.put(key, content);
    },
    putFile: async (key, path) => {
      waiting.delete(key);
      return await blobs.putFile(key, path);
    },
    read: (key, range) => blobs.read(key, range),
    stat: (key) => blobs.stat(key),
    list: (prefix) => blobs.list(prefix),
    copyInto: (directory, prefix) => blobs.copyInto(directory, prefix),
    delete: async (key) => {
      if (holders > 0) waiting.add(key);
      else await blobs.delete(key);
    },
    holdDeletes() {
      holders += 1;
      return {
        [Symbol.asyncDispose]: async () => {
          holders -= 1;
          if (holders > 0) return;
          const keys = [...waiting];
          waiting.clear();
          for (const key of keys) await blobs.delete(key);
        },
      };
    },
    [Symbol.asyncDispose]: () => blobs[Symbol.asyncDispose](),
  };
}
