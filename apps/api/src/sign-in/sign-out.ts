import { clearCookie } from '../auth/own-cookies.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { markup } from '../pages/html.ts';
import { pageConfig, readForm } from './form-token.ts';
import { peopleOf } from './people-of.ts';
import { sendPage, sendTo } from './send-page.ts';
import { tellTeams } from './tell-teams.ts';

const signedOutPath = '/auth/signed-out';

/** Ends the session of this browser. The person is asked whether to end that of the provider too. */
export function addSignOutRoutes(app: ApiApp, context: ApiContext): void {
  app.post('/auth/sign-out', { config: pageConfig, schema: { hide: true } }, async (request, reply) => {
    const people = peopleOf(context);
    const { person } = request;
    if (person?.via === 'session') {
      readForm(request, people, person);
      const { user, session } = person;
      await context.records.sessions.remove(session.id);
      const target = { kind: 'session', id: session.id };
      await tellTeams(request, context, { action: 'user.sign-out', userId: user.id, rule: 'session', target });
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
