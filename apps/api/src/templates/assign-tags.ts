import { SoulBoxError } from '@soulbox/base';
import { z } from 'zod';
import { callerOf } from '../auth/authenticate.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { errors } from '../http/schemas.ts';
import { quoteForError } from '../http/quote-for-error.ts';
import { getOwnTemplate, templateNotFound } from '../lookup/template.ts';
import { getTag } from './names.ts';
import { defaultTag, parseTemplateReference } from '../names/reference.ts';
import { tagNamesSchema } from './schemas.ts';

const assignSchema = z
  .object({ target: z.string().max(256).describe('`name:tag`; without a tag: `default`.'), tags: tagNamesSchema })
  .meta({ id: 'AssignTemplateTagsRequest' });
const assignedSchema = z
  .object({ buildID: z.string(), tags: z.array(z.string()) })
  .meta({ id: 'AssignedTemplateTags' });

export function addAssignTagsRoute(app: ApiApp, context: ApiContext): void {
  const { templates } = context.records;

  app.post(
    '/templates/tags',
    {
      schema: {
        tags: ['templates'],
        summary: 'Point tags at the build that another tag of the template points at',
        body: assignSchema,
        response: { 201: assignedSchema, ...errors(400, 404, 413, 415) },
      },
    },
    async (request, reply) => {
      const { target } = request.body;
      const tags = [...new Set(request.body.tags.map(getTag))];
      const { name, tag } = splitTarget(target);
      const template = await getOwnTemplate(context, callerOf(request).team, name);
      const source = await templates.findTag(template.id, tag);
      if (source === undefined) throw templateNotFound(target);
      const left = await templates.assignTags(template.id, source.buildId, tags, context.clock.now());
      for (const buildId of left) await context.builder.forget(buildId);
      return reply.code(201).send({ buildID: source.buildId, tags });
    },
  );
}

/** Splits `[team/]name:tag`. Throws `bad_request`. */
function splitTarget(target: string): { name: string; tag: string } {
  const reference = parseTemplateReference(target);
  if (reference === undefined)
    throw new SoulBoxError('bad_request', `target: ${quoteForError(target)} must have the form name:tag.`);
  const { namespace, name, tag = defaultTag } = reference;
  return { name: namespace === undefined ? name : `${namespace}/${name}`, tag };
}
