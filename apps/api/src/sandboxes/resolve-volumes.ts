import type { VolumeMount } from '@soulbox/contract/runner';
import type { TeamRecord, VolumeRecord } from '@soulbox/storage';
import type { ApiContext } from '../context.ts';
import { getVolumeToUse } from '../lookup/volume.ts';
import { mib } from '../quotas/budgets.ts';
import { getVolumeService } from '../volumes/schemas.ts';
import { teamBytesOf } from '../volumes/team-bytes.ts';

/** A mount of a volume or bucket in the form of the runner. */
export type VolumeToMount = Omit<VolumeMount, '$typeName' | '$unknown'>;

interface WantedMount {
  /** Name or id of a volume. */
  readonly name: string;
  readonly path: string;
  readonly readOnly: boolean;
}

/**
 * The volumes of a create in the form of the runner. Throws `volume_not_found`, and `not_implemented` on a server without
 * volumes.
 */
export async function resolveVolumes(
  context: ApiContext,
  team: TeamRecord,
  mounts: readonly WantedMount[] = [],
): Promise<VolumeToMount[]> {
  if (mounts.length === 0) return [];
  getVolumeService(context);
  const teamBytes = await teamBytesOf(context, team.id);
  const resolved: VolumeToMount[] = [];
  for (const mount of mounts)
    resolved.push(mountToRunner(await getVolumeToUse(context, team, mount.name), mount, teamBytes));
  return resolved;
}

/** `teamBytes`: what all volumes of the team may contain. Undefined: no limit. */
function mountToRunner(
  { id, groupId, name, sizeMb, isReadOnly }: VolumeRecord,
  { path, readOnly }: WantedMount,
  teamBytes: number | undefined,
): VolumeToMount {
  return {
    ...{ volumeId: id, groupId, name, path },
    // Nothing in a snapshot can be changed.
    readOnly: readOnly || isReadOnly,
    sizeBytes: BigInt((sizeMb ?? 0) * mib),
    // On this wire, 0 is no limit.
    teamBytes: teamBytes === undefined ? 0n : BigInt(Math.max(1, teamBytes)),
    ...{ isBucket: false, prefix: '' },
  };
}
