import { z } from 'zod';
import { setCookie } from '../auth/own-cookies.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { addressOf } from '../actor.ts';
import { pendingSeconds, startPending } from '../people/pending-sign-in.ts';
import { safeReturnTo } from '../people/return-to.ts';
import { peopleOf } from './people-of.ts';
import { sendFault } from './send-page.ts';

export const returnToQuery = z.object({ return_to: z.string().optional() });

/** Sends the browser to the provider. */
export function addStartRoute(app: ApiApp, context: ApiContext): void {
  app.get(
    '/auth/start',
    { config: { auth: 'none' }, schema: { hide: true, querystring: returnToQuery } },
    async (request, reply) => {
      const people = peopleOf(context);
      try {
        people.signInAttempts.check(addressOf(request));
        const returnTo = safeReturnTo(request.query.return_to);
        const { cookie, pending } = startPending(people.secrets, returnTo, context.clock.now());
        const url = await people.provider.authorizationUrl(pending);
        return await reply
          .header('set-cookie', setCookie('sign-in', cookie, pendingSeconds, people))
          .header('cache-control', 'no-store')
          .redirect(url.href, 303);
      } catch (thrown) {
        return await sendFault(reply, thrown);
      }
    },
  );
}
