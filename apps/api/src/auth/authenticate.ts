import { SoulBoxError } from '@soulbox/base';
import { headers } from '@soulbox/contract';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { ApiContext } from '../context.ts';
import { noteKey } from '../actor.ts';
import { whyEnded } from '../keys/key-watch.ts';
import type { AuthRule } from './auth-rule.ts';
import { callerFromKey, callerFromSigner } from './caller.ts';
import type { Caller } from './caller.ts';
import { admitPerson } from './admit-person.ts';
import { findSigner } from './authenticate-signed.ts';
import { findVolumeTokenHolder } from './authenticate-volume.ts';
import { readKeyCookie } from './key-cookie.ts';
import { findThrottled, wrongKey } from './throttle.ts';
import type { Presented } from './throttle.ts';
import type { SignerIds } from '../signing/signer.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    auth?: AuthRule;
  }
  interface FastifyRequest {
    /** Undefined when fastify responds without running a hook, which happens for paths that its router refuses. */
    caller: Caller | null | undefined;
    /** True for the operator, who acts for no team. Only on routes whose rule allows it. */
    isOperator: boolean;
    /** The signed URL or token that identified the caller, and the person who signed it. Null or undefined if none did. */
    signedBy: (SignerIds & { readonly userId: string | undefined }) | null | undefined;
  }
}

/** The caller of a route that requires a key. */
export function callerOf(request: FastifyRequest): Caller {
  if (request.caller === null || request.caller === undefined)
    throw new SoulBoxError('internal', 'The route has no caller.');
  return request.caller;
}

/**
 * Sets `request.caller` and `request.person`, or throws `unauthorized`, or `limit_exceeded` with `Retry-After` after too many wrong keys.
 * Runs before the body is read.
 */
export async function authenticate(request: FastifyRequest, reply: FastifyReply, context: ApiContext): Promise<void> {
  const rule = request.routeOptions.config.auth ?? 'key';
  if (request.is404) return;
  const accepts = rule === 'key-or-signature' || rule === 'signature';
  const signer = await findSigner(request, context, { accepts });
  if (signer !== undefined) {
    request.signedBy = { ...signer.ids, userId: signer.by.kind === 'person' ? signer.by.userId : undefined };
    accept(request, callerFromSigner(signer));
    return;
  }
  if (rule === 'none') return;
  const holder = rule === 'key-or-volume-token' ? await findVolumeTokenHolder(request, context) : undefined;
  if (holder !== undefined) {
    request.signedBy = { ...holder.ids, userId: holder.by.kind === 'person' ? holder.by.userId : undefined };
    accept(request, callerFromSigner(holder));
    return;
  }
  if (rule === 'signature')
    throw new SoulBoxError('unauthorized', 'Unauthorized, the URL is not signed. Request a new link.');
  if (rule === 'cookie') {
    const key = readKeyCookie(request);
    if (key !== undefined) accept(request, await tryKey({ request, reply, context, key }));
    return;
  }
  if (await admitPerson(request, reply, context, rule)) {
    if (request.caller) noteKey(request.caller.keyId);
    return;
  }
  if (rule === 'session') return;
  if (rule === 'person') throw new SoulBoxError('unauthorized', 'Unauthorized, sign in first.');
  const presented = presentedKey(request, rule);
  if (presented === undefined)
    throw new SoulBoxError('unauthorized', 'Unauthorized, the API key is missing. Send it as X-API-Key.');
  if (rule === 'admin') {
    if (!context.adminToken.equals(presented)) throw wrongKey(context);
    request.isOperator = true;
    return;
  }
  const isOperators = rule === 'key-or-operator' || rule === 'operator';
  if (isOperators && context.metricsToken.equals(presented)) request.isOperator = true;
  else if (rule === 'operator') throw wrongKey(context);
  else accept(request, await findCaller({ request, reply, context, key: presented }));
}

function accept(request: FastifyRequest, caller: Caller | undefined): void {
  if (caller === undefined) return;
  request.caller = caller;
  noteKey(caller.keyId);
}

/** Undefined for an invalid key. Throws `limit_exceeded` when too many are tried. */
export async function tryKey(presented: Presented): Promise<Caller | undefined> {
  try {
    return await findCaller(presented);
  } catch (error) {
    if (error instanceof SoulBoxError && error.reason === 'unauthorized') return undefined;
    throw error;
  }
}

/** The key as sent, from the place that the route documents. */
export function presentedKey(request: FastifyRequest, rule: AuthRule): string | undefined {
  const key = request.headers[headers.apiKey];
  if (typeof key === 'string' && key !== '') return key;
  if (['key', 'key-or-signature', 'key-or-volume-token', 'none'].includes(rule)) return undefined;
  return /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? '')?.[1];
}

async function findCaller(presented: Presented): Promise<Caller> {
  const { records, clock, keyUse } = presented.context;
  const { team, key } = await findThrottled(presented, async () => {
    const found = await records.apiKeys.findByValue(presented.key);
    const owner = found === undefined ? undefined : await records.teams.find(found.teamId);
    if (found === undefined || owner === undefined) return undefined;
    const ended = whyEnded(found, clock.now());
    if (ended !== undefined) throw ended;
    return { team: owner, key: found };
  });
  await keyUse.note(key);
  return callerFromKey(team, key);
}
