import { SoulBoxError } from '@soulbox/base';
import { z } from 'zod';
import type { ApiApp } from '../http/app.ts';
import { pageHeaders } from './html.ts';
import type { OwnDocuments } from './own-documents.ts';

/** A page of docs/, as text. */
export function addDocumentRoute(app: ApiApp, documents: OwnDocuments): void {
  app.get(
    '/docs/:name',
    { config: { auth: 'none' }, schema: { hide: true, params: z.object({ name: z.string() }) } },
    (request, reply) => {
      const text = documents.get(request.params.name);
      if (text === undefined) throw new SoulBoxError('route_not_found', 'The page was not found.');
      return reply.headers({ ...pageHeaders, 'content-type': 'text/plain; charset=utf-8' }).send(text);
    },
  );
}
