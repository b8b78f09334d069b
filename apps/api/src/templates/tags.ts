import { SoulBoxError } from '@soulbox/base';
import { z } from 'zod';
import { callerOf } from '../auth/authenticate.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { errors, noContent, timeToWire } from '../http/schemas.ts';
import { quoteForError } from '../http/quote-for-error.ts';
import { tagsMax } from '../limits.ts';
import { getOwnTemplate, getTemplate, templateNotFound, templateParams } from './find.ts';
import { getTag } from './names.ts';
import { defaultTag, parseTemplateReference } from './reference.ts';
import { templateTagSchema } from './schemas.ts';
import { storeTime } from './to-wire.ts';

const names = z.array(z.string().max(128)).min(1).max(tagsMax);
const assignSchema = z
  .object({ target: z.string().max(256).describe('`name:tag`; without a tag: `default`.'), tags: names })
  .meta({ id: 'AssignTemplateTagsRequest' });
const removeSchema = z.object({ name: z.string().max(256), tags: names }).meta({ id: 'DeleteTemplateTagsRequest' });
const assignedSchema = z
  .object({ buildID: z.string(), tags: z.array(z.string()) })
  .meta({ id: 'AssignedTemplateTags' });

export function addTemplateTagRoutes(app: ApiApp, context: ApiContext): void {
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

/** `[team/]name:tag` in two. Throws `bad_request`. */
function splitTarget(target: string): { name: string; tag: string } {
  const reference = parseTemplateReference(target);
  if (reference === undefined)
    throw new SoulBoxError('bad_request', `target: ${quoteForError(target)} must have the form name:tag.`);
  const { namespace, name, tag = defaultTag } = reference;
  return { name: namespace === undefined ? name : `${namespace}/${name}`, tag };
}
