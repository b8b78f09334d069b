import { SoulBoxError } from '@soulbox/base';
import { z } from 'zod';
import { callerOf } from '../auth/authenticate.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { errors, noContent } from '../http/schemas.ts';
import { quoteForError } from '../http/quote-for-error.ts';
import { getOwnTemplate } from '../lookup/template.ts';
import { getTag } from './names.ts';
import { defaultTag } from '../names/reference.ts';
import { tagNamesSchema } from './schemas.ts';

const removeSchema = z
  .object({ name: z.string().max(256), tags: tagNamesSchema })
  .meta({ id: 'DeleteTemplateTagsRequest' });

export function addRemoveTagsRoute(app: ApiApp, context: ApiContext): void {
  const { templates } = context.records;

  app.delete(
    '/templates/tags',
    {
      schema: {
        tags: ['templates'],
        summary: 'Remove tags of a template; `default` stays',
        body: removeSchema,
        response: { 204: noContent, ...errors(400, 404, 413, 415) },
      },
    },
    async (request, reply) => {
      const tags = [...new Set(request.body.tags.map(getTag))];
      if (tags.includes(defaultTag)) throw new SoulBoxError('bad_request', `tags: "${defaultTag}" cannot be removed.`);
      const template = await getOwnTemplate(context, callerOf(request).team, request.body.name);
      const left = await templates.removeTags(template.id, tags, context.clock.now());
      if (left === undefined)
        throw new SoulBoxError(
          'template_not_found',
          `Template ${quoteForError(template.name)} does not have all of these tags.`,
        );
      for (const buildId of left) await context.builder.forget(buildId);
      return reply.code(204).send(null);
    },
  );
}
