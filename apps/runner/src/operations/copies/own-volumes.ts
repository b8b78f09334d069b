import { SoulBoxError } from '@soulbox/base';
import type { CopySource } from '../../registry/snapshot-store.ts';

/** A template that a team shares must not open its volumes to others. Throws `forbidden`. */
export function checkVolumes({ volumes }: Pick<CopySource, 'volumes'>, teamId: string): void {
  if (volumes.some((volume) => volume.teamId !== teamId))
    throw new SoulBoxError('forbidden', 'The snapshot has volumes of another team mounted.');
}
