import { SoulBoxError } from '@soulbox/base';
import type { TeamRecord, TemplateRecord } from '@soulbox/storage';
import { z } from 'zod';
import type { ApiContext } from '../context.ts';
import { quoteForError } from '../http/quote-for-error.ts';
import type { ListAge, StoreTemplate } from '../runner/template-catalogue.ts';
import { defaultTag, isOwnNamespace, parseTemplateReference } from '../names/reference.ts';

export const templateParams = z.object({
  templateID: z.string().describe('Id or name of a template, percent-encoded.'),
});

export function templateNotFound(reference: string): SoulBoxError {
  return new SoulBoxError('template_not_found', `Template ${quoteForError(reference)} was not found.`);
}

/** A template that was built here, or one of the runner's store. */
export type FoundTemplate =
  | { readonly kind: 'built'; readonly template: TemplateRecord; readonly tag: string }
  | ({ readonly kind: 'store' } & StoreTemplate);

/** Another team's template that is not public. */
type PrivateTemplate = { readonly kind: 'private'; readonly template: TemplateRecord };

/**
 * The template that a team means with `id`, `name`, `name:tag` or `team/name:tag`. As in E2B, the team's own templates
 * come first, then shared ones: the server's, then those that other teams published. Another team's private template is
 * treated as missing, so that others do not learn that it exists.
 */
export async function findTemplate(
  context: ApiContext,
  team: TeamRecord,
  text: string,
  age?: ListAge,
): Promise<FoundTemplate | undefined> {
  const named = await findNamed(context, team, text, age);
  return named?.kind === 'private' ? undefined : named;
}

/** The id of the template for a reference, even if the team may not use it. Undefined when there is none. */
export async function findTemplateId(context: ApiContext, team: TeamRecord, text: string): Promise<string | undefined> {
  const named = await findNamed(context, team, text);
  return named?.kind === 'store' ? named.template.templateId : named?.template.id;
}

async function findNamed(
  context: ApiContext,
  team: TeamRecord,
  text: string,
  age?: ListAge,
): Promise<FoundTemplate | PrivateTemplate | undefined> {
  const reference = parseTemplateReference(text);
  if (reference === undefined) return undefined;
  const { namespace, name, tag = defaultTag } = reference;
  const { templates } = context.records;
  if (!isOwnNamespace(team, namespace)) {
    const foreign = await findForeign(context, namespace ?? '', name);
    return foreign && { kind: foreign.isPublic ? 'built' : 'private', template: foreign, tag };
  }
  const own = await templates.findByName(team.id, name);
  if (own !== undefined) return { kind: 'built', template: own, tag };
  const store = await context.templates.find(team, text, age);
  if (store !== undefined) return { kind: 'store', ...store };
  if (namespace !== undefined) return undefined;
  const found = (await templates.findById(name)) ?? (await templates.findPublic(name));
  if (found === undefined) return undefined;
  return { kind: found.teamId === team.id || found.isPublic ? 'built' : 'private', template: found, tag };
}

async function findForeign(context: ApiContext, namespace: string, name: string): Promise<TemplateRecord | undefined> {
  for (const team of await context.records.teams.list()) {
    if (!isOwnNamespace(team, namespace)) continue;
    const found = await context.records.templates.findByName(team.id, name);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** The same. Throws `template_not_found`. */
export async function getTemplate(context: ApiContext, team: TeamRecord, text: string): Promise<FoundTemplate> {
  const found = await findTemplate(context, team, text);
  if (found === undefined) throw templateNotFound(text);
  return found;
}

/**
 * The team's own built template, by id or by name without a tag. Throws `template_not_found`, also for another team's
 * template.
 */
export async function getOwnTemplate(context: ApiContext, team: TeamRecord, text: string): Promise<TemplateRecord> {
  const found = await findOwnTemplate(context, team, text);
  if (found === undefined) throw templateNotFound(text);
  return found;
}

export async function findOwnTemplate(
  context: ApiContext,
  team: TeamRecord,
  text: string,
): Promise<TemplateRecord | undefined> {
  const reference = parseTemplateReference(text);
  if (reference === undefined || reference.tag !== undefined || !isOwnNamespace(team, reference.namespace))
    return undefined;
  const named = await context.records.templates.findByName(team.id, reference.name);
  if (named !== undefined || reference.namespace !== undefined) return named;
  const identified = await context.records.templates.findById(reference.name);
  return identified?.teamId === team.id ? identified : undefined;
}
