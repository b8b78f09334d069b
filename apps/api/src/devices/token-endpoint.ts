import { SoulBoxError } from '@soulbox/base';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { addressOf } from '../actor.ts';
import { findByToken, isSessionOf } from '../auth/find-person.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { formConfig } from '../pages/form.ts';
import { createPersonalToken, tokenDaysDefault } from '../personal-tokens/create-token.ts';
import { peopleOf } from '../sign-in/people-of.ts';
import { tellTeams } from '../sign-in/tell-teams.ts';

type Fields = Readonly<Record<string, string>>;

const deviceGrant = 'urn:ietf:params:oauth:grant-type:device_code';

/**
 * Tokens for programs, in the form of OAuth 2.0 (RFC 6749, 5): those that a person has just allowed, and, for clients
 * that want to refresh theirs, the same token for as long as it is valid.
 */
export function addTokenRoutes(app: ApiApp, context: ApiContext): void {
  app.post('/auth/token', { config: formConfig, schema: { hide: true } }, async (request, reply) => {
    void reply.header('cache-control', 'no-store');
    const fields = (request.body ?? {}) as Fields;
    if (fields['grant_type'] === deviceGrant) return await pollDevice(request, reply, context, fields);
    if (fields['grant_type'] === 'refresh_token') return await refresh(request, reply, context, fields);
    return await refuse(reply, 'unsupported_grant_type');
  });

  /** RFC 7009: the answer is the same for a token that is not valid. */
  app.post('/auth/revoke', { config: formConfig, schema: { hide: true } }, async (request, reply) => {
    peopleOf(context);
    const { token = '' } = (request.body ?? {}) as Fields;
    const found = await findByToken(token, context);
    if (found?.person.via === 'token') {
      const { user, tokenId } = found.person;
      await context.records.personalTokens.remove(user.id, tokenId);
      const target = { kind: 'token', id: tokenId };
      await tellTeams(request, context, { action: 'token.revoke', userId: user.id, rule: 'token', target });
    }
    return await reply.code(200).send({});
  });
}

async function pollDevice(
  request: FastifyRequest,
  reply: FastifyReply,
  context: ApiContext,
  fields: Fields,
): Promise<FastifyReply> {
  const outcome = peopleOf(context).devices.poll(fields['device_code'] ?? '');
  if (outcome === 'pending') return await refuse(reply, 'authorization_pending');
  if (outcome === 'too_fast') return await refuse(reply, 'slow_down');
  if (outcome === 'denied') return await refuse(reply, 'access_denied');
  if (outcome === 'expired') return await refuse(reply, 'expired_token');
  const { userId, sessionId, client } = outcome;
  // Who has signed out or was removed meanwhile gives nothing away any more.
  if (!(await isSessionOf(context, sessionId, userId))) return await refuse(reply, 'access_denied');
  const name = client.trim() === '' ? 'program' : client.trim();
  const made = { userId, name, days: tokenDaysDefault, rule: 'device', isOfProgram: true, sessionId };
  try {
    const { token, record } = await createPersonalToken(request, context, made);
    return await answer(reply, token.reveal(), record.expiresAt - context.clock.now());
  } catch (thrown) {
    if (thrown instanceof SoulBoxError && thrown.reason === 'unauthorized') return await refuse(reply, 'access_denied');
    throw thrown;
  }
}

async function refresh(
  request: FastifyRequest,
  reply: FastifyReply,
  context: ApiContext,
  fields: Fields,
): Promise<FastifyReply> {
  const { deviceAttempts } = peopleOf(context);
  deviceAttempts.check(addressOf(request));
  const token = fields['refresh_token'] ?? '';
  const found = await findByToken(token, context);
  if (found?.person.via !== 'token') {
    deviceAttempts.fail(addressOf(request));
    return await refuse(reply, 'invalid_grant');
  }
  return await answer(reply, found.person.token.reveal(), found.person.expiresAt - context.clock.now());
}

async function answer(reply: FastifyReply, token: string, ms: number): Promise<FastifyReply> {
  const body = { access_token: token, refresh_token: token, token_type: 'Bearer', expires_in: Math.floor(ms / 1000) };
  return await reply.code(200).send(body);
}

async function refuse(reply: FastifyReply, error: string): Promise<FastifyReply> {
  return await reply.code(400).send({ error });
}
