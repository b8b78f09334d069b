import { SoulBoxError } from '@soulbox/base';
import { z } from 'zod';
import type { ApiApp } from '../http/app.ts';
import { quoteForError } from '../http/quote-for-error.ts';
import { pageHeaders } from './html.ts';
import type { OwnDocuments } from './own-documents.ts';

/** A page of docs/, as text. */
export function addDocumentRoute(app: ApiApp, documents: OwnDocuments): void {
  app.get(
    '/docs/:name',
    { config: { auth: 'none' }, schema: { hide: true, params: z.object({ name: z.string() }) } },
    (request, reply) => {
      const { name } = request.params;
      const text = documents.get(name);
      if (text === undefined) throw new SoulBoxError('route_not_found', `Page ${quoteForError(name)} was not found.`);
      return reply.headers({ ...pageHeaders, 'content-type': 'text/plain; charset=utf-8' }).send(text);
    },
  );
}
