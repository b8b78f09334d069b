import { SoulBoxError } from '@soulbox/base';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { addressOf } from '../actor.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { formConfig, requireForm } from '../pages/form.ts';
import type { Logout } from '../people/ended-sign-ins.ts';
import { peopleOf } from './people-of.ts';
import { notesOfEnd } from './tell-teams.ts';

/** The provider tells that a session there has ended (OpenID Connect Back-Channel Logout 1.0, 2.5 to 2.8). */
export function addBackchannelLogoutRoute(app: ApiApp, context: ApiContext): void {
  const options = {
    ...{ config: formConfig, schema: { hide: true } },
    onRequest: (request: FastifyRequest, _reply: FastifyReply, done: (error?: Error) => void) => {
      requireForm(request);
      done();
    },
  };
  app.post('/auth/backchannel-logout', options, async (request, reply) => {
    const people = peopleOf(context);
    void reply.header('cache-control', 'no-store');
    const { logout_token: token = '' } = (request.body ?? {}) as Readonly<Record<string, string>>;
    try {
      await people.logoutTokens.redeem(token, async (logout) => await endSessions(request, context, logout));
    } catch (thrown) {
      if (!(thrown instanceof SoulBoxError) || thrown.reason !== 'bad_request') throw thrown;
      const address = addressOf(request);
      if (people.logoutAttempts.allows(address))
        context.logger.warn({ err: thrown, address }, 'a logout token was refused');
      people.logoutAttempts.fail(address);
      return await refuse(reply, thrown.message);
    }
    return await reply.code(200).send({});
  });
}

async function refuse(reply: FastifyReply, why: string): Promise<FastifyReply> {
  return await reply.code(400).send({ error: 'invalid_request', error_description: why });
}

/**
 * Ends the sessions that were signed in there, or all of the person if no session is named, with the tokens that
 * programs got in them. Programs that wait for their token get none, because their session has ended. Nothing of it is
 * no fault: the session may have ended before.
 */
async function endSessions(request: FastifyRequest, context: ApiContext, logout: Logout): Promise<void> {
  const { records, logger } = context;
  const { issuer } = peopleOf(context).provider;
  const { subject, providerSid } = logout;
  const named = subject === '' ? undefined : await records.users.findBySubject(issuer, subject);
  const userIds =
    subject === '' ? await records.sessions.findUsers(providerSid) : named === undefined ? [] : [named.id];
  for (const userId of userIds) {
    const target = { kind: 'user', id: userId };
    const deed = { action: 'user.sign-out-by-provider', userId, rule: 'provider', target, by: 'provider' } as const;
    const notes = await notesOfEnd(request, context, deed);
    const which = providerSid === '' ? {} : { providerSid };
    const { sessions, tokens } = await records.sessions.endOfUser(userId, { ...which, notes });
    if (sessions + tokens > 0)
      logger.info({ user: userId, sessions, tokens }, 'the identity provider has ended sessions');
  }
}
