import type { FastifyRequest } from 'fastify';
import { addressOf } from '../actor.ts';
import type { ApiContext } from '../context.ts';
import type { Deed } from '../trail/deed.ts';

/** What a person did, beside the team. */
export interface PersonalDeed {
  readonly action: string;
  readonly userId: string;
  /** How the person is known, such as `session`. */
  readonly rule: string;
  readonly target: { readonly kind: string; readonly id: string };
}

/** The same for one team. */
export function deedFor(request: FastifyRequest, teamId: string, deed: PersonalDeed): Deed {
  const { action, userId, rule, target } = deed;
  return {
    ...{ teamId, action, class: 'security', scope: 'team', rule, target, actor: { kind: 'user', id: userId } },
    request: { id: request.id, method: request.method, route: request.routeOptions.url ?? '' },
    source: { address: addressOf(request), userAgent: request.headers['user-agent'] ?? '' },
  };
}

/** Records what a person did, in the log of each of their teams. Throws `audit_log_full` before anything is recorded. */
export async function tellTeams(request: FastifyRequest, context: ApiContext, deed: PersonalDeed): Promise<void> {
  const { records, trail } = context;
  const teams = new Set((await records.memberships.listOfUser(deed.userId)).map(({ teamId }) => teamId));
  for (const teamId of teams) await trail.checkRoom(teamId);
  for (const teamId of teams)
    await trail.tell(deedFor(request, teamId, deed), 'event', { status: 'success', code: 200 });
}
