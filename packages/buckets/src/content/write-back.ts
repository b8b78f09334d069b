import { SoulBoxError } from '@soulbox/base';
import { FuseError } from '@soulbox/fuse';
import type { ObjectStore } from '@soulbox/storage/objects';
import type { OpenFile } from './open-file.ts';
import type { Scratch } from './scratch.ts';

type Store = Pick<ObjectStore, 'put' | 'stat' | 'get'>;

/**
 * Writes a changed file as a whole, if the object is still the one that was read. Returns its version. Throws ESTALE if
 * somebody else has changed it.
 */
export async function writeBack(store: Store, file: OpenFile, key: string, scratch: Scratch): Promise<string> {
  const { version } = file;
  try {
    const written = await store.put(key, scratch.stream(), {
      sizeBytes: scratch.size(),
      condition: version === undefined ? 'absent' : { version },
    });
    return written.version;
  } catch (thrown) {
    if (!isChanged(thrown)) throw thrown;
    // A process that was killed may have written it and not noted that.
    const found = await findSame(store, key, scratch);
    if (found !== undefined) return found;
    file.hasConflict = true;
    throw new FuseError('ESTALE', 'The object was changed by somebody else.');
  }
}

/** S3 answers a conditional write of an object that is gone with 404. */
const isChanged = (thrown: unknown): boolean =>
  thrown instanceof SoulBoxError &&
  (thrown.reason === 'storage_precondition_failed' || thrown.reason === 'storage_not_found');

/** The version of the object if it has the same content. */
async function findSame(store: Store, key: string, scratch: Scratch): Promise<string | undefined> {
  const info = await store.stat(key);
  if (info?.sizeBytes !== scratch.size()) return undefined;
  const { body } = await store.get(key, { version: info.version });
  let offset = 0;
  try {
    for await (const chunk of body) {
      const own = await scratch.read(offset, chunk.length);
      if (Buffer.compare(own, chunk) !== 0) return undefined;
      offset += chunk.length;
    }
  } finally {
    body.destroy();
  }
  return info.version;
}
