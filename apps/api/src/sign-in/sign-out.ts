import type { FastifyRequest } from 'fastify';
import { credentialId } from '../auth/person.ts';
import type { Person } from '../auth/person.ts';
import { clearCookie } from '../auth/own-cookies.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { markup } from '../pages/html.ts';
import { pageConfig, readForm } from './form-token.ts';
import { peopleOf } from './people-of.ts';
import { sendPage, sendTo } from './send-page.ts';
import { tellTeams } from './tell-teams.ts';

/** Ends the session or revokes the token of the person. */
export async function signOut(request: FastifyRequest, context: ApiContext, person: Person): Promise<void> {
  const { id: userId } = person.user;
  const id = credentialId(person);
  if (person.via === 'session') await context.records.sessions.remove(id);
  else await context.records.personalTokens.remove(userId, id);
  const target = { kind: person.via, id };
  await tellTeams(request, context, { action: 'user.sign-out', userId, rule: person.via, target });
}

/**
 * Ends all sessions of the person, and the tokens that programs have got from them. Personal tokens that they made
 * themselves stay: those are revoked one by one.
 */
export async function signOutEverywhere(
  request: FastifyRequest,
  context: ApiContext,
  { user, via }: Person,
): Promise<void> {
  await context.records.sessions.endOfUser(user.id);
  const target = { kind: 'user', id: user.id };
  await tellTeams(request, context, { action: 'user.sign-out-everywhere', userId: user.id, rule: via, target });
}

const signedOutPath = '/auth/signed-out';

/** Ends the session of this browser. The person is asked whether to end that of the provider too. */
export function addSignOutRoutes(app: ApiApp, context: ApiContext): void {
  app.post('/auth/sign-out', { config: pageConfig, schema: { hide: true } }, async (request, reply) => {
    const people = peopleOf(context);
    const { person } = request;
    if (person?.via === 'session') {
      const { everywhere = '' } = readForm(request, people, person);
      if (everywhere === '') await signOut(request, context, person);
      else await signOutEverywhere(request, context, person);
    }
    void reply.header('set-cookie', clearCookie('session', people));
    return await sendTo(reply, signedOutPath);
  });

  app.get(signedOutPath, { config: { auth: 'none' }, schema: { hide: true } }, async (_request, reply) => {
    const { provider, origin } = peopleOf(context);
    const url = await provider.endSessionUrl(origin + signedOutPath);
    const { host } = new URL(provider.issuer);
    const atProvider = markup`<p>At <code>${host}</code> you may still be signed in: <a href="${url?.href ?? ''}">sign out there too</a>.</p>`;
    const body = markup`<p>This browser is signed out. <a href="/auth/sign-in">Sign in</a></p>
${url === undefined ? '' : atProvider}`;
    return await sendPage(reply, 'Signed out', body);
  });
}
