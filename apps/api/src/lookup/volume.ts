import { SoulBoxError } from '@soulbox/base';
import type { TeamRecord, VolumeRecord } from '@soulbox/storage';
import { z } from 'zod';
import type { ApiContext } from '../context.ts';
import { quoteForError } from '../http/quote-for-error.ts';

export const volumeParams = z.object({ volumeID: z.string().describe('Id or name of the volume.') });

/** `v` and 20 characters of `[a-z0-9]`. No name has this form, so a path parameter names one volume. */
export const volumeIdForm = /^v[a-z0-9]{20}$/;

/** A volume of the team by its id or its name. Throws `volume_not_found`. */
export async function getVolume({ records }: ApiContext, team: TeamRecord, idOrName: string): Promise<VolumeRecord> {
  const found = volumeIdForm.test(idOrName)
    ? await records.volumes.find(team.id, idOrName)
    : await records.volumes.findByName(team.id, idOrName);
  if (found === undefined) throw volumeNotFound(idOrName);
  return found;
}

export function volumeNotFound(idOrName: string): SoulBoxError {
  return new SoulBoxError('volume_not_found', `Volume ${quoteForError(idOrName)} was not found.`);
}

/** The same for a call that uses its contents: from then on, a recovery expects them. Throws `volume_not_found`. */
export async function getVolumeToUse(context: ApiContext, team: TeamRecord, idOrName: string): Promise<VolumeRecord> {
  const volume = await getVolume(context, team, idOrName);
  if (!volume.isUsed) await context.records.volumes.noteUse(volume.id);
  return volume;
}
