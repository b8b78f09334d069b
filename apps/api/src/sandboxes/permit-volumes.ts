import { SoulBoxError } from '@soulbox/base';
import { mayRun } from '../auth/caller.ts';
import type { Caller } from '../auth/caller.ts';

/**
 * Throws `scope_missing` for a caller who may not use the contents of the team's volumes: a program that a template
 * starts could send them away.
 */
export function permitVolumes(
  caller: Pick<Caller, 'scopes' | 'templates'>,
  mounts: readonly { readonly name: string }[] = [],
): void {
  if (mounts.length === 0) return;
  if (!mayRun(caller))
    throw new SoulBoxError(
      'scope_missing',
      'volumeMounts: this requires the scope "run", as the contents of volumes do.',
    );
  if (caller.templates.length > 0)
    throw new SoulBoxError(
      'scope_missing',
      'volumeMounts: the API key is restricted to templates and cannot use volumes of the team.',
    );
}
