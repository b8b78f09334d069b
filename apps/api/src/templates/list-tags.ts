import { SoulBoxError } from '@soulbox/base';
import { z } from 'zod';
import { callerOf } from '../auth/authenticate.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { errors, timeToWire } from '../http/schemas.ts';
import { quoteForError } from '../http/quote-for-error.ts';
import { getTemplate, templateParams } from '../lookup/template.ts';
import { defaultTag } from '../names/reference.ts';
import { templateTagSchema } from './schemas.ts';
import { storeTime } from './to-wire.ts';

export function addListTagsRoute(app: ApiApp, context: ApiContext): void {
  const { templates } = context.records;

  app.get(
    '/templates/:templateID/tags',
    {
      schema: {
        tags: ['templates'],
        summary: 'List the tags of a template',
        params: templateParams,
        response: { 200: z.array(templateTagSchema), ...errors(403, 404, 503) },
      },
    },
    async (request) => {
      const { team } = callerOf(request);
      const found = await getTemplate(context, team, request.params.templateID);
      if (found.kind === 'store')
        return [{ tag: defaultTag, buildID: found.template.templateId, createdAt: storeTime(found.template) }];
      if (found.template.teamId !== team.id)
        throw new SoulBoxError(
          'forbidden',
          `Template ${quoteForError(request.params.templateID)} belongs to another team.`,
        );
      const tags = await templates.listTags(found.template.id);
      return tags.map(({ tag, buildId, createdAt }) => ({ tag, buildID: buildId, createdAt: timeToWire(createdAt) }));
    },
  );
}
