import type { AuditFacts, AuditResult } from '@soulbox/audit';
import { SoulBoxError } from '@soulbox/base';
import type { AuditNote } from '@soulbox/storage';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { addressOf } from '../actor.ts';
import type { ApiContext } from '../context.ts';
import type { Deed } from '../trail/deed.ts';
import { auditedRoutes } from './audited-routes.ts';
import type { AuditedRoute } from './audited-routes.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** What is recorded of a valid body, beside the id of the target. Contains no secrets. */
    auditFacts?: (body: unknown) => AuditFacts | undefined;
  }
  interface FastifyRequest {
    /** What is recorded about the request. Null until its handler may run, and for routes that are not recorded. */
    audited: { deed: Deed; note: ((targetId?: string) => AuditNote) | undefined; isNoteCommitted: boolean } | null;
  }
}

type Recorded = Exclude<AuditedRoute, { how: 'none' }>;

/** What a request does, for a team that its handler or its key names. */
export function deedOf(request: FastifyRequest, teamId: string, { action, class: of, target, param }: Recorded): Deed {
  const params = request.params as Readonly<Record<string, string>>;
  return {
    ...{ teamId, action, class: of, scope: 'team', ...actorOf(request) },
    target: { kind: target, id: param === undefined ? '' : (params[param] ?? '') },
    request: { id: request.id, method: request.method, route: request.routeOptions.url ?? '' },
    source: { address: addressOf(request), userAgent: request.headers['user-agent'] ?? '' },
  };
}

/** A person is the same actor in every session, with every token and behind every URL that they signed. */
function actorOf({ person, caller, signedBy }: FastifyRequest): Pick<Deed, 'actor' | 'rule'> {
  if (person) return { actor: { kind: 'user', id: person.user.id }, rule: person.via };
  if (signedBy?.userId !== undefined) return { actor: { kind: 'user', id: signedBy.userId }, rule: 'signature' };
  if (caller) return { actor: { kind: 'key', id: caller.keyId }, rule: 'key' };
  return { actor: { kind: 'server', id: 'signed-link' }, rule: 'signature' };
}

/**
 * The record of a request that changes only the records, to be committed with its change. `id`: of what it makes. Throws
 * `internal` for a route whose table entry is not `record`.
 */
export function auditNote(request: FastifyRequest, id?: string): AuditNote {
  const note = request.audited?.note;
  if (note === undefined) throw new SoulBoxError('internal', 'The route has no audit record.');
  return note(id);
}

/**
 * Records requests as `auditedRoutes` says. The one place where this happens: after the caller is known and the body is
 * valid, before the handler; and after the response.
 */
export function recordRequests(app: FastifyInstance, { trail }: ApiContext): void {
  app.decorateRequest('audited', null);
  app.addHook('preHandler', async (request, reply) => {
    const route = auditedRoutes[`${request.method} ${request.routeOptions.url ?? ''}`];
    const teamId = request.caller?.team.id;
    if (route === undefined || route.how === 'none' || teamId === undefined) return;
    const facts = request.routeOptions.config.auditFacts?.(request.body);
    const deed = { ...deedOf(request, teamId, route), ...(facts === undefined ? {} : { facts }) };
    request.audited = { deed, note: undefined, isNoteCommitted: false };
    if (route.how === 'effect') await trail.admit(deed, { frees: request.method === 'DELETE' });
    if (route.how === 'always') await trail.admitAlways(deed);
    if (route.how === 'record') {
      await trail.checkRoom(teamId);
      request.audited.note = await noteOf(request, deed, trail);
    }
    // `close` also comes when the client leaves early, unlike the hooks for responses.
    reply.raw.once('close', () => void tellOutcome(request, reply, route, trail));
  });
  app.addHook('preSerialization', (request, _reply, payload, done) => {
    const route = auditedRoutes[`${request.method} ${request.routeOptions.url ?? ''}`];
    const made = route !== undefined && 'made' in route ? route.made : undefined;
    const id = made === undefined ? undefined : (payload as Readonly<Record<string, unknown>> | null)?.[made];
    if (request.audited !== null && typeof id === 'string')
      request.audited.deed = { ...request.audited.deed, target: { ...request.audited.deed.target, id } };
    done(null, payload);
  });
}

/** A note that knows whether it was committed. */
async function noteOf(request: FastifyRequest, deed: Deed, trail: ApiContext['trail']) {
  const make = await trail.note(deed, { status: 'success', code: 200 });
  return (id?: string): AuditNote => {
    const { teamId, compose } = make(id);
    return {
      teamId,
      compose: (place) => {
        if (request.audited !== null) request.audited.isNoteCommitted = true;
        return compose(place);
      },
    };
  };
}

/** Of a change of the records alone, the committed record says that it has happened. */
async function tellOutcome(
  request: FastifyRequest,
  reply: FastifyReply,
  { how }: Recorded,
  trail: ApiContext['trail'],
): Promise<void> {
  if (request.audited === null) return;
  const { deed, isNoteCommitted } = request.audited;
  const result = resultOf(reply);
  if (how === 'record' && isNoteCommitted && result.status === 'success') return;
  await trail.tell(deed, how === 'effect' || how === 'always' ? 'outcome' : 'event', result);
}

function resultOf({ raw, statusCode }: FastifyReply): AuditResult {
  if (!raw.writableFinished) return { status: 'aborted', code: statusCode };
  return { status: statusCode < 400 ? 'success' : 'failure', code: statusCode };
}
