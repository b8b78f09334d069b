import { readFileSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isNodeError } from '@soulbox/base';
import { requireSameVolumes } from '../../oci/volumes/same-volumes.ts';
import { volumeMounts } from '../../oci/volumes/sync-volumes.ts';
import type { SandboxVolume } from '../../driver.ts';

/** Beside gVisor's files of a saved memory: the names of the volumes, a line for each. */
const fileName = 'volumes';

/** Notes which volumes the sandbox has, in the folder of its saved memory. */
export async function noteVolumes(directory: string, goferPid: number): Promise<void> {
  const mounts = volumeMounts(readFileSync(`/proc/${goferPid}/mountinfo`, 'utf8'));
  const lines = mounts.map(({ source }) => `${source}\n`);
  await writeFile(join(directory, fileName), lines.join(''), { mode: 0o600 });
}

/** Throws `sandbox_resume_failed` unless the saved sandbox had exactly these volumes. */
export async function refuseOtherVolumes(directory: string, volumes: readonly SandboxVolume[]): Promise<void> {
  const given = volumes.map(({ index }) => `volume-${index}`);
  requireSameVolumes(await readNoted(directory), given);
}

/** None in a memory that an earlier version has saved. */
async function readNoted(directory: string): Promise<readonly string[]> {
  try {
    return (await readFile(join(directory, fileName), 'utf8')).split('\n').filter((line) => line !== '');
  } catch (error) {
    if (isNodeError(error) && error.code === 'ENOENT') return [];
    throw error;
  }
}
