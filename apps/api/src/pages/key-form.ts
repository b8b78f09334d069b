import type { FastifyReply } from 'fastify';
import { z } from 'zod';
import { markup, pageHeaders, renderPage } from './html.ts';

/** The page of a sandbox. Its form is posted to the same path. */
export const inspectPath = '/dashboard/inspect/sandbox/:sandboxID';
export const inspectSchema = { hide: true, params: z.object({ sandboxID: z.string() }) } as const;

/** Asks for an API key, with status 401. `fault` says what was wrong with the key that was sent, if one was. */
export async function sendKeyForm(reply: FastifyReply, sandboxId: string, fault = ''): Promise<FastifyReply> {
  const told = fault === '' ? '' : markup`<p role="alert"><strong>${fault}</strong></p>`;
  const body = markup`<p>To see the sandbox <code>${shownId(sandboxId)}</code>, enter an API key of its team. This browser keeps it for 8 hours.</p>
${told}
<form method="post">
<label for="key">API key</label>
<input id="key" name="key" type="password" autocomplete="off" required maxlength="256">
<button>Show</button>
</form>`;
  return await reply.code(401).headers(pageHeaders).send(renderPage('API key required', body));
}

/** The id as typed, but limited in length. */
export const shownId = (text: string): string => text.slice(0, 80);
