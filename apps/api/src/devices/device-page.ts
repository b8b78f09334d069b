import { z } from 'zod';
import { addressOf } from '../actor.ts';
import { credentialId, personOf } from '../auth/person.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { markup } from '../pages/html.ts';
import type { Html } from '../pages/html.ts';
import { formToken, pageConfig, readForm } from '../sign-in/form-token.ts';
import { peopleOf } from '../sign-in/people-of.ts';
import { sendFault, sendPage, sendToSignIn } from '../sign-in/send-page.ts';

export const devicePath = '/auth/device';

const codeMax = 20;

/** Where a person decides about a program that asks for access: the code, then who asks, then the decision. */
export function addDevicePage(app: ApiApp, context: ApiContext): void {
  const querystring = z.object({ user_code: z.string().max(codeMax).optional() });
  app.get(devicePath, { config: pageConfig, schema: { hide: true, querystring } }, async (request, reply) => {
    const people = peopleOf(context);
    const { user_code: code } = request.query;
    if (!request.person)
      return await sendToSignIn(
        reply,
        code === undefined ? devicePath : `${devicePath}?user_code=${encodeURIComponent(code)}`,
      );
    if (code === undefined) return await sendPage(reply, 'Connect a program', codeForm(''));
    try {
      people.deviceAttempts.check(addressOf(request));
    } catch (thrown) {
      return await sendFault(reply, thrown);
    }
    const asked = people.devices.find(code);
    if (asked === undefined || asked.decision !== undefined) {
      people.deviceAttempts.fail(addressOf(request));
      return await sendPage(reply, 'Connect a program', codeForm('No program waits with this code.'), 404);
    }
    const body = markup`<p>The program <strong>${asked.client}</strong> at the address <code>${asked.address}</code> shows the code <strong>${asked.userCode}</strong>
and wants to act for you in all your teams, for 30 days. Allow this only if you have started it yourself.</p>
<form method="post">${formToken(people, request.person)}<input type="hidden" name="user_code" value="${asked.userCode}">
<button name="decision" value="allow">Allow</button> <button name="decision" value="deny">Deny</button></form>`;
    return await sendPage(reply, 'Connect a program', body);
  });

  app.post(devicePath, { config: pageConfig, schema: { hide: true } }, async (request, reply) => {
    const people = peopleOf(context);
    if (!request.person) return await sendToSignIn(reply, devicePath);
    const person = personOf(request);
    const { user_code: code = '', decision = '' } = readForm(request, people, person);
    try {
      people.deviceAttempts.check(addressOf(request));
    } catch (thrown) {
      return await sendFault(reply, thrown);
    }
    const isAllowed = decision === 'allow';
    const approver = { userId: person.user.id, sessionId: credentialId(person) };
    if (!people.devices.decide(code.slice(0, codeMax), approver, isAllowed)) {
      people.deviceAttempts.fail(addressOf(request));
      return await sendPage(reply, 'Connect a program', codeForm('No program waits with this code.'), 404);
    }
    const what = isAllowed ? 'The program continues now.' : 'The program was refused.';
    return await sendPage(reply, 'Connect a program', markup`<p>${what} You can close this page.</p>`);
  });
}

function codeForm(fault: string): Html {
  return markup`<p>Type the code that the program shows.</p>
${fault === '' ? '' : markup`<p role="alert"><strong>${fault}</strong></p>`}
<form method="get" action="${devicePath}"><label for="code">Code</label>
<input id="code" name="user_code" autocomplete="off" required maxlength="${codeMax}"><button>Continue</button></form>`;
}
