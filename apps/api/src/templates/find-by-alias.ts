import { z } from 'zod';
import { callerOf } from '../auth/authenticate.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { errors } from '../http/schemas.ts';
import { getPermittedTemplate } from '../lookup/permitted-templates.ts';
import { templateAliasSchema } from './schemas.ts';

export function addFindByAliasRoute(app: ApiApp, context: ApiContext): void {
  app.get(
    '/templates/aliases/:alias',
    {
      schema: {
        tags: ['templates'],
        summary: 'Find a template by its name',
        params: z.object({ alias: z.string() }),
        response: { 200: templateAliasSchema, ...errors(400, 404, 503) },
      },
    },
    async (request) => {
      const found = await getPermittedTemplate(context, callerOf(request), request.params.alias);
      return found.kind === 'store'
        ? { templateID: found.template.templateId, public: true }
        : { templateID: found.template.id, public: found.template.isPublic };
    },
  );
}
