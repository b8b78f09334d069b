import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { markup } from '../pages/html.ts';
import { safeReturnTo } from '../people/return-to.ts';
import { pageConfig } from './form-token.ts';
import { peopleOf } from './people-of.ts';
import { sendPage, sendTo } from './send-page.ts';
import { returnToQuery } from './start.ts';

/** The page for a person who has not signed in. A link leads to the provider: nothing happens without a click. */
export function addSignInPage(app: ApiApp, context: ApiContext): void {
  app.get(
    '/auth/sign-in',
    { config: pageConfig, schema: { hide: true, querystring: returnToQuery } },
    async (request, reply) => {
      const { provider } = peopleOf(context);
      const returnTo = safeReturnTo(request.query.return_to);
      if (request.person) return await sendTo(reply, returnTo);
      const start = `/auth/start?return_to=${encodeURIComponent(returnTo)}`;
      const body = markup`<p>This server asks <code>${new URL(provider.issuer).host}</code> who you are.</p>
<p><a href="${start}">Sign in</a></p>`;
      return await sendPage(reply, 'Sign in to SoulBox', body);
    },
  );
}
