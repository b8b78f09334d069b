import { SoulBoxError } from '@soulbox/base';
import { mayRun } from '../auth/caller.ts';
import type { Caller } from '../auth/caller.ts';
import type { NewSandbox } from './new-sandbox-schema.ts';

/**
 * Throws `scope_missing` for a caller who may not use the contents of the team's volumes and buckets: a program that a
 * template starts could send them away.
 */
export function permitVolumes(
  caller: Pick<Caller, 'scopes' | 'templates'>,
  { volumeMounts = [], bucketMounts = [] }: Pick<NewSandbox, 'volumeMounts' | 'bucketMounts'>,
): void {
  if (volumeMounts.length > 0) permit(caller, 'volumeMounts', 'volumes');
  if (bucketMounts.length > 0) permit(caller, 'bucketMounts', 'buckets');
}

function permit(caller: Pick<Caller, 'scopes' | 'templates'>, member: string, what: string): void {
  if (!mayRun(caller))
    throw new SoulBoxError('scope_missing', `${member}: this requires the scope "run", as the contents of ${what} do.`);
  if (caller.templates.length > 0)
    throw new SoulBoxError(
      'scope_missing',
      `${member}: the API key is restricted to templates and cannot use ${what} of the team.`,
    );
}
