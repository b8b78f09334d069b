import { mkdir, open, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isNodeError } from '@soulbox/base';
import { z } from 'zod';
import type { VolumePlace } from '../volumes/volume-place.ts';

/**
 * Volumes that were removed, and that the object store still has. A volume whose folder is missing was not removed: its
 * disk may be lost.
 */
export interface Tombstones {
  /** Survives a crash of the host. */
  add(place: VolumePlace): Promise<void>;
  list(): Promise<VolumePlace[]>;
  remove(volumeId: string): Promise<void>;
}

const placeSchema = z.object({ teamId: z.string(), groupId: z.string(), volumeId: z.string() });
const idForm = /^[a-zA-Z0-9-]{1,64}$/;

export function openTombstones(folder: string): Tombstones {
  return {
    async add(place) {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      const path = join(folder, place.volumeId);
      await writeFile(path, JSON.stringify(place), { mode: 0o600, flush: true });
      await using handle = await open(folder, 'r');
      await handle.sync();
    },
    async list() {
      const places: VolumePlace[] = [];
      for (const name of await readdir(folder).catch(ignoreMissing)) {
        if (!idForm.test(name)) continue;
        const { success, data } = placeSchema.safeParse(parseJson(await readFile(join(folder, name), 'utf8')));
        // Half written before a crash: the volume is still there, and is removed again.
        if (success && data.volumeId === name) places.push(data);
      }
      return places;
    },
    async remove(volumeId) {
      await rm(join(folder, volumeId), { force: true });
    },
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function ignoreMissing(error: unknown): string[] {
  if (isNodeError(error) && error.code === 'ENOENT') return [];
  throw error;
}
