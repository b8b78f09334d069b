import { SoulBoxError } from '@soulbox/base';
import type { VolumeOfSandbox } from '../../registry/record.ts';
import type { CopySource } from '../../registry/snapshot-store.ts';
import type { VolumeMounts } from '../../processes/volume-mounts.ts';

/** A copy of a volume that an operation makes. The control plane has chosen its id, and removes it after a failure. */
export interface VolumeCopy {
  /** Of the volume that the source has mounted. */
  readonly volumeId: string;
  readonly copyId: string;
  readonly name: string;
}

/** A template that a team shares must not open its volumes to others. Throws `forbidden`. */
export function checkVolumes({ volumes }: Pick<CopySource, 'volumes'>, teamId: string): void {
  if (volumes.some((volume) => volume.teamId !== teamId))
    throw new SoulBoxError('forbidden', 'The snapshot has volumes of another team mounted.');
}

/** What a sandbox mounts that gets copies of some volumes of its source. One volume may have several places. */
export function mountsWithCopies(
  volumes: readonly VolumeOfSandbox[],
  copies: readonly VolumeCopy[] = [],
): VolumeOfSandbox[] {
  return volumes.map((volume) => {
    const copy = findCopy(volume, copies);
    return copy === undefined ? volume : { ...volume, volumeId: copy.copyId, name: copy.name };
  });
}

/**
 * Has the volume service copy what is in volumes at this moment. Throws the errors of the service, and
 * `volume_not_found` for a volume that the source does not have.
 */
export async function copyVolumes(
  service: Pick<VolumeMounts, 'copy'>,
  volumes: readonly VolumeOfSandbox[],
  copies: readonly VolumeCopy[],
  isReadOnly: boolean,
): Promise<void> {
  for (const copy of copies) {
    const volume = volumes.find((one) => findCopy(one, [copy]) !== undefined);
    if (volume === undefined)
      throw new SoulBoxError('volume_not_found', `The source has no volume "${copy.volumeId.slice(0, 64)}" mounted.`);
    await service.copy(volume, { copyId: copy.copyId, isReadOnly });
  }
}

/** The first set is copied from the source, the others from it: they have the same contents, whatever happens later. */
export async function copyFirst(
  service: Pick<VolumeMounts, 'copy'>,
  volumes: readonly VolumeOfSandbox[],
  [first = []]: readonly (readonly VolumeCopy[])[],
): Promise<void> {
  await copyVolumes(service, volumes, first, false);
}

/** Before anything writes to the copies of the first set. */
export async function copyOthers(
  service: Pick<VolumeMounts, 'copy'>,
  volumes: readonly VolumeOfSandbox[],
  [first = [], ...others]: readonly (readonly VolumeCopy[])[],
): Promise<void> {
  const copied = mountsWithCopies(volumes, first);
  const idOfFirst = new Map(first.map(({ volumeId, copyId }) => [volumeId, copyId]));
  for (const copies of others) {
    const fromFirst = copies.map((copy) => ({ ...copy, volumeId: idOfFirst.get(copy.volumeId) ?? copy.volumeId }));
    await copyVolumes(service, copied, fromFirst, false);
  }
}

/** The control plane is gone: it removes the volumes of what it did not hear of. Throws `control_unavailable`. */
export function refuseIfCallerIsGone(signal: AbortSignal | undefined): void {
  if (signal?.aborted !== true) return;
  throw new SoulBoxError('control_unavailable', 'The caller left before its copies of volumes were complete.');
}

function findCopy(volume: VolumeOfSandbox, copies: readonly VolumeCopy[]): VolumeCopy | undefined {
  return volume.isBucket ? undefined : copies.find(({ volumeId }) => volumeId === volume.volumeId);
}
