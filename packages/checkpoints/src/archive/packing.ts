import { SoulBoxError } from '@soulbox/base';
import type { Checkpoint, CheckpointStore } from '../checkpoint-store.ts';
import type { Archive } from './archive.ts';

/** Compresses and unpacks the checkpoints of a store. An unpack stops a compression. */
export interface Packing extends Pick<CheckpointStore, 'compress' | 'unpack'> {
  /** Stops a compression, so that the caller need not wait for its end. */
  interrupt(checkpointId: string): Promise<void>;
}

export function createPacking(
  openSealed: (checkpointId: string) => Promise<Checkpoint>,
  archive: Archive | undefined,
): Packing {
  const packing = new Map<string, { readonly abort: AbortController; readonly ended: Promise<unknown> }>();
  const unpacking = new Map<string, Promise<Checkpoint>>();

  const interrupt = async (checkpointId: string): Promise<void> => {
    const current = packing.get(checkpointId);
    current?.abort.abort();
    await Promise.allSettled([current?.ended]);
  };

  const unpackAlone = async (checkpointId: string, admit?: (bytes: number) => Disposable): Promise<Checkpoint> => {
    await interrupt(checkpointId);
    const checkpoint = await openSealed(checkpointId);
    if (!checkpoint.isPacked) return checkpoint;
    const { parts, packed } = checkpoint.manifest;
    using _room = admit?.(Object.keys(packed).reduce((sum, name) => sum + (parts[name]?.sizeBytes ?? 0), 0));
    return await requireArchive(archive).unpack(checkpoint);
  };

  return {
    interrupt,
    async compress(checkpointId, signal) {
      const packer = requireArchive(archive);
      if (packing.has(checkpointId)) return undefined;
      const abort = new AbortController();
      const end = AbortSignal.any([abort.signal, ...(signal === undefined ? [] : [signal])]);
      const ended = openSealed(checkpointId).then((checkpoint) => packer.compress(checkpoint, end));
      packing.set(checkpointId, { abort, ended });
      try {
        return await ended;
      } catch (error) {
        if (end.aborted) return undefined;
        throw error;
      } finally {
        packing.delete(checkpointId);
      }
    },
    async unpack(checkpointId, admit) {
      const unpacked = unpacking.get(checkpointId) ?? unpackAlone(checkpointId, admit);
      unpacking.set(checkpointId, unpacked);
      try {
        return await unpacked;
      } finally {
        unpacking.delete(checkpointId);
      }
    },
  };
}

function requireArchive(archive: Archive | undefined): Archive {
  if (archive !== undefined) return archive;
  throw new SoulBoxError('capability_missing', 'This server does not archive checkpoints.');
}
