import type { AuditNote } from '@soulbox/storage';
import type { FastifyRequest } from 'fastify';
import { addressOf } from '../actor.ts';
import type { ApiContext } from '../context.ts';
import type { Deed } from '../trail/deed.ts';

/** What a person did, or the provider did to them, beside the team. */
export interface PersonalDeed {
  readonly action: string;
  readonly userId: string;
  /** How the person is known, such as `session`. */
  readonly rule: string;
  readonly target: { readonly kind: string; readonly id: string };
  /** Default: the person. The address of the provider is nobody's personal data, and never sealed as theirs. */
  readonly by?: 'person' | 'provider';
}

const success = { status: 'success', code: 200 } as const;

/** The same for one team. */
export function deedFor(request: FastifyRequest, teamId: string, deed: PersonalDeed): Deed {
  const { action, userId, rule, target, by = 'person' } = deed;
  const source = { address: addressOf(request), userAgent: request.headers['user-agent'] ?? '' };
  return {
    ...{ teamId, action, class: 'security', scope: 'team', rule, target },
    actor: by === 'person' ? { kind: 'user', id: userId } : { kind: 'server', id: 'identity-provider' },
    request: { id: request.id, method: request.method, route: request.routeOptions.url ?? '' },
    ...(by === 'person' ? { source } : {}),
  };
}

/** Records what has happened, in the log of each team of the person, whether it has room or not. Never throws for a log. */
export async function tellTeams(request: FastifyRequest, context: ApiContext, deed: PersonalDeed): Promise<void> {
  for (const teamId of await teamsOf(context, deed.userId))
    await context.trail.tell(deedFor(request, teamId, deed), 'event', success);
}

/**
 * The records of what must not happen without them, to be committed together with it. Throws `audit_log_full` and
 * `audit_unavailable`.
 */
export async function notesForTeams(
  request: FastifyRequest,
  context: ApiContext,
  deed: PersonalDeed,
): Promise<AuditNote[]> {
  for (const teamId of await teamsOf(context, deed.userId)) await context.trail.checkRoom(teamId);
  return await notesOfEnd(request, context, deed);
}

/** The same for what ends access, and so needs no room in the logs. */
export async function notesOfEnd(
  request: FastifyRequest,
  context: ApiContext,
  deed: PersonalDeed,
): Promise<AuditNote[]> {
  const notes: AuditNote[] = [];
  for (const teamId of await teamsOf(context, deed.userId))
    notes.push((await context.trail.note(deedFor(request, teamId, deed), success))());
  return notes;
}

async function teamsOf({ records }: ApiContext, userId: string): Promise<Set<string>> {
  return new Set((await records.memberships.listOfUser(userId)).map(({ teamId }) => teamId));
}
