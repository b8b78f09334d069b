import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { timeToWire } from '../http/schemas.ts';
import { markup } from '../pages/html.ts';
import { accountPath } from '../people/return-to.ts';
import { formToken, pageConfig } from './form-token.ts';
import { peopleOf } from './people-of.ts';
import { sendPage, sendToSignIn } from './send-page.ts';
import { teamsOf } from '../auth/teams-of.ts';

/** What a signed-in person has here. */
export function addAccountPage(app: ApiApp, context: ApiContext): void {
  app.get(accountPath, { config: pageConfig, schema: { hide: true } }, async (request, reply) => {
    const people = peopleOf(context);
    const { person } = request;
    if (!person) return await sendToSignIn(reply, accountPath);
    const { user } = person;
    const teams = await teamsOf(context, user.id);
    const tokens = await context.records.personalTokens.list(user.id);
    const body = markup`<p>You are signed in as <strong>${user.email === '' ? user.id : user.email}</strong>.</p>
<h2>Teams</h2>
${teams.length === 0 ? markup`<p>You are not a member of a team yet. Ask the operator of this server.</p>` : ''}
<dl>${teams.map(({ team, role }) => markup`<dt>${team.name}</dt><dd>${role} (${team.id})</dd>\n`)}</dl>
<h2>Personal tokens</h2>
${tokens.length === 0 ? markup`<p>None. "soulbox auth login" makes one.</p>` : ''}
<dl>${tokens.map((token) => markup`<dt>${token.name}</dt><dd>…${token.suffix}, until ${timeToWire(token.expiresAt)}</dd>\n`)}</dl>
<form method="post" action="/auth/sign-out">${formToken(people, person)}<button>Sign out</button>
<button name="everywhere" value="1">Sign out everywhere, with programs</button></form>`;
    return await sendPage(reply, 'Your account', body);
  });
}
