import { SoulBoxError } from '@soulbox/base';
import type { FastifyRequest } from 'fastify';
import type { ApiApp } from '../http/app.ts';
import { quoteForError } from '../http/quote-for-error.ts';

/** Bytes of a form, which contains a key and its field name. */
const formBytesMax = 4096;

/** Settings of a route that receives a form. */
export const formConfig = { auth: 'none', room: 'own' } as const;

/** Lets the routes of the scope receive forms. No other route accepts their content type. */
export function acceptForms(scope: ApiApp): void {
  scope.addContentTypeParser(
    'application/x-www-form-urlencoded',
    { parseAs: 'string', bodyLimit: formBytesMax },
    (_request, body, parsed) => parsed(null, Object.fromEntries(new URLSearchParams(body as string))),
  );
}

/** Throws `unsupported_media_type`, before the body is read. The scope also accepts JSON, which may be longer. */
export function requireForm(request: FastifyRequest): void {
  const type = request.headers['content-type'] ?? '';
  if (/^application\/x-www-form-urlencoded\s*(?:;|$)/i.test(type)) return;
  throw new SoulBoxError('unsupported_media_type', 'This route only accepts a form.');
}

/**
 * Throws `forbidden` for a form of another page: it could make the browser show the sandboxes of that page's author.
 */
export function refuseOtherOrigins(request: FastifyRequest): void {
  const { origin, host } = request.headers;
  if (origin === undefined) return;
  if (!URL.canParse(origin) || new URL(origin).host !== host)
    throw new SoulBoxError('forbidden', `The form was sent from ${quoteForError(origin)}, not from this server.`);
}
