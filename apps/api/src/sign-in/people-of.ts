import { SoulBoxError } from '@soulbox/base';
import type { ApiContext } from '../context.ts';
import type { People } from '../people/people.ts';

/** Throws `route_not_found` on a server without a provider. */
export function peopleOf({ people }: ApiContext): People {
  if (people === undefined)
    throw new SoulBoxError('route_not_found', 'People cannot sign in at this server. See docs/sign-in.md.');
  return people;
}
