import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { SandboxVolume } from '../../driver.ts';
import { requireSameVolumes } from '../../oci/volumes/same-volumes.ts';
import type { SandboxLayout } from '../layout.ts';
import { readImage } from '../pager/image-file.ts';
import { volumeKey } from './external-mounts.ts';

/** Field number of mnt_entry (CRIU: images/mnt.proto). */
const externalKey = 18;

/** Where a restore has a volume until it is mounted with the ids of the sandbox. Only the restore's tools see it. */
export function placeOfVolume(layout: SandboxLayout, index: number): string {
  return join(layout.criu, 'volumes', String(index));
}

export async function makeVolumeFolders(layout: SandboxLayout, volumes: readonly SandboxVolume[]): Promise<void> {
  for (const { index } of volumes) await mkdir(placeOfVolume(layout, index), { recursive: true });
}

/** Throws `sandbox_resume_failed` unless the saved sandbox had exactly these volumes. */
export async function refuseOtherVolumes(directory: string, volumes: readonly SandboxVolume[]): Promise<void> {
  const given = volumes.map(({ index }) => volumeKey(index));
  requireSameVolumes(await savedVolumes(directory), given);
}

/** The keys of the volumes in a saved memory. */
async function savedVolumes(directory: string): Promise<string[]> {
  const names = (await readdir(directory)).filter((name) => /^mountpoints-\d+\.img$/.test(name));
  const keys = names.flatMap((name) =>
    readImage(join(directory, name), 'mounts').map((mount) => mount.get(externalKey)),
  );
  const texts = keys.flat().map((key) => (key instanceof Uint8Array ? Buffer.from(key).toString() : ''));
  return texts.filter((key) => /^volume\/\d+$/.test(key));
}
