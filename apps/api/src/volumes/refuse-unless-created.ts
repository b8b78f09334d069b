import { SoulBoxError } from '@soulbox/base';
import type { VolumeCreation } from '@soulbox/storage';
import { raiseTeam } from '../quotas/budgets.ts';
import { storedHintSeconds } from '../quotas/quotas.ts';

/** Throws `volume_exists` and `limit_exceeded`. */
export function refuseUnlessCreated(created: VolumeCreation, name: string, limit: number): void {
  if (created === 'name_taken')
    throw new SoulBoxError('volume_exists', `The team already has a volume "${name}". Choose another name.`);
  if (created === 'limit_reached')
    throw new SoulBoxError(
      'limit_exceeded',
      `The team has reached the maximum number of volumes (${limit}). Delete one. ${raiseTeam('volumes')}`,
      { retryAfterSeconds: storedHintSeconds },
    );
}
