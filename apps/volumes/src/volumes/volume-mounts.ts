import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { isNodeError } from '@soulbox/base';
import type { Volume } from '@soulbox/volumes';
import { z } from 'zod';
import { createKernelCache } from './kernel-cache.ts';
import type { KernelCache } from './kernel-cache.ts';

/** The mounts of one open volume. */
export interface VolumeMounts {
  readonly cache: KernelCache;
  /**
   * Records a mount before it is served. From then on it outlives this process. Its calls may be answered when the result
   * resolves.
   */
  begin(mount: string): { readonly usable: Promise<void> };
  /** The mount is gone, and `Volume.removeHolder` is done. */
  end(mount: string): void;
  /** Ends the mounts of before that nobody has taken over, except those of `living`, which somebody still may. */
  expire(living?: ReadonlySet<string>): Promise<void>;
}

/**
 * Mounts that the kernel may still have. They outlive the process, and with them files that they hold open without a
 * name, and their locks. They do not outlive the host.
 */
const recordSchema = z.object({
  bootId: z.string(),
  mounts: z.array(z.string()),
  /** Their kernels keep nothing. */
  isCacheEmpty: z.boolean().default(false),
});

/** Of the running host. */
export const readBootId = (): string => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();

/**
 * Reads the record in the file `path`, and keeps for its mounts what they hold of a volume that was just opened. With
 * `isLate` it is too late to take them over, and they end. So do those that are not in `living`, once it is known.
 */
export async function adoptMounts(
  volume: Volume,
  {
    path,
    bootId,
    isLate,
    living,
  }: {
    readonly path: string;
    readonly bootId: string;
    readonly isLate: boolean;
    readonly living: ReadonlySet<string> | undefined;
  },
): Promise<VolumeMounts> {
  const { metadata, pins } = volume;
  const known = new Set<string>();
  const served = new Set<string>();
  const save = (): void => {
    // For a killed process. After a crash of the host there are no mounts, so nothing is flushed.
    const record = { bootId, mounts: [...known], isCacheEmpty: isCacheEmpty() };
    writeFileSync(`${path}.new`, JSON.stringify(record), { mode: 0o600 });
    renameSync(`${path}.new`, path);
  };
  const expire = async (kept?: ReadonlySet<string>): Promise<void> => {
    for (const mount of known) {
      if (served.has(mount) || kept?.has(mount) === true) continue;
      await volume.removeHolder(mount);
      // It may have been taken over meanwhile. Then its locks are lost, as it came too late.
      if (!served.has(mount)) known.delete(mount);
    }
    save();
    await settle();
  };

  const record = readRecord(path);
  const isOfThisBoot = record.bootId === bootId;
  for (const mount of record.mounts) {
    known.add(mount);
    if (isOfThisBoot) pins.adopt(mount, metadata.facts().firstOwnIno);
  }
  const holders = new Set((await metadata.locks.list()).map(({ mount }) => mount));
  for (const mount of holders) if (!known.has(mount)) await volume.removeHolder(mount);
  const cache = createKernelCache({
    mayBeKept: known.size > 0 && isOfThisBoot && !record.isCacheEmpty,
    mounts: known.size,
  });
  /** Only several mounts are a state that stays. */
  const isCacheEmpty = (): boolean => known.size > 1 && cache.isEmpty();
  /** When the mounts agree on what their kernels may keep. Never rejects. */
  const settle = async (): Promise<void> => {
    const isNews = known.size > 1 && !cache.isEmpty();
    await cache.setMounts(known.size);
    try {
      if (isNews) save();
    } catch {
      // Then the next process waits once more.
    }
  };
  if (known.size > 0 && (isLate || !isOfThisBoot)) await expire();
  else if (known.size > 0 && living !== undefined) await expire(living);
  return {
    cache,
    begin(mount) {
      const isNew = !known.has(mount);
      known.add(mount);
      served.add(mount);
      try {
        if (isNew) save();
      } catch (error) {
        known.delete(mount);
        served.delete(mount);
        throw error;
      }
      return { usable: settle() };
    },
    end(mount) {
      known.delete(mount);
      served.delete(mount);
      save();
      void settle();
    },
    expire,
  };
}

function readRecord(path: string): z.infer<typeof recordSchema> {
  try {
    return recordSchema.parse(JSON.parse(readFileSync(path, 'utf8')));
  } catch (error) {
    if (isNodeError(error) && error.code === 'ENOENT') return { bootId: '', mounts: [], isCacheEmpty: false };
    throw error;
  }
}
