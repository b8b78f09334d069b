import { randomUUID } from 'node:crypto';
import { SoulBoxError } from '@soulbox/base';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { addressOf } from '../actor.ts';
import { findBySession } from '../auth/find-person.ts';
import { clearCookie, readCookie, setCookie } from '../auth/own-cookies.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { openPending } from '../people/pending-sign-in.ts';
import { admitUser } from './admit-user.ts';
import { peopleOf } from './people-of.ts';
import { sendFault, sendTo } from './send-page.ts';
import { notesForTeams, tellTeams } from './tell-teams.ts';

/** Sessions of a user at the same time. The oldest ends. */
const sessionsOfUserMax = 20;

/** Where the provider sends the browser back. */
export function addCallbackRoute(app: ApiApp, context: ApiContext): void {
  app.get('/auth/callback', { config: { auth: 'none' }, schema: { hide: true } }, async (request, reply) => {
    const people = peopleOf(context);
    const address = addressOf(request);
    void reply.header('set-cookie', clearCookie('sign-in', people));
    try {
      people.signInAttempts.check(address);
      return await signIn(request, reply, context);
    } catch (thrown) {
      // A provider that is away is not the fault of this address.
      if (thrown instanceof SoulBoxError && /^sign_in_/.test(thrown.reason)) people.signInAttempts.fail(address);
      return await sendFault(reply, thrown);
    }
  });
}

async function signIn(request: FastifyRequest, reply: FastifyReply, context: ApiContext): Promise<FastifyReply> {
  const { records, clock, config, logger } = context;
  const { provider, secrets, endedSignIns, ...where } = peopleOf(context);
  const cookie = readCookie(request, 'sign-in', where);
  const pending = cookie === undefined ? undefined : openPending(secrets, cookie, clock.now());
  if (pending === undefined)
    throw new SoulBoxError('sign_in_failed', 'This browser has not started a sign-in, or it took too long.');
  const query = new URL(request.originalUrl, where.origin).searchParams;
  const identity = await provider.redeem(query, pending);
  const userId = await admitUser(request, context, identity);
  await endPresentSession(request, context);
  const { value, hash } = secrets.createSession();
  const now = clock.now();
  const seconds = config.sessionHours * 3600;
  const { providerSid } = identity;
  const times = { createdAt: now, seenAt: now, expiresAt: now + seconds * 1000 };
  const session = { id: randomUUID(), hash, userId, ...times, providerSid };
  const target = { kind: 'session', id: session.id };
  const deed = { action: 'user.sign-in', userId, rule: 'provider', target };
  await records.sessions.create(session, sessionsOfUserMax, await notesForTeams(request, context, deed));
  if (endedSignIns.includes(identity)) {
    await records.sessions.remove(session.id);
    await tellTeams(request, context, { ...deed, action: 'user.sign-out-by-provider', by: 'provider' });
    throw new SoulBoxError('sign_in_failed', 'The identity provider has ended this sign-in. Start again.');
  }
  logger.info({ user: userId, session: session.id }, 'person signed in');
  // The header is a list: the cookie of the sign-in is removed by the same response.
  void reply.header('set-cookie', setCookie('session', value, seconds, where));
  return await sendTo(reply, pending.returnTo);
}

/** A browser never keeps a session that it had before the sign-in. */
async function endPresentSession(request: FastifyRequest, context: ApiContext): Promise<void> {
  const present = await findBySession(request, context);
  if (present?.via === 'session') await context.records.sessions.remove(present.session.id);
}
