import { SoulBoxError } from '@soulbox/base';
import type { Caller } from '../auth/caller.ts';
import type { ApiContext } from '../context.ts';
import { findTemplate, templateNotFound } from './template.ts';
import type { FoundTemplate } from './template.ts';

function idOfTemplate(found: FoundTemplate): string {
  return found.kind === 'store' ? found.template.templateId : found.template.id;
}

/**
 * Ids of the templates to which the caller's key is restricted, as its references are understood now. Undefined: it is
 * not restricted.
 */
export async function permittedTemplateIds(
  context: ApiContext,
  { team, templates }: Caller,
): Promise<ReadonlySet<string> | undefined> {
  if (templates.length === 0) return undefined;
  const found = await Promise.all(templates.map((text) => findTemplate(context, team, text, 'remembered')));
  return new Set(found.flatMap((template) => (template === undefined ? [] : [idOfTemplate(template)])));
}

/** A template that the caller may use. Throws `template_not_found`, also for one to which the key is not restricted. */
export async function getPermittedTemplate(context: ApiContext, caller: Caller, text: string): Promise<FoundTemplate> {
  const found = await findTemplate(context, caller.team, text);
  if (found !== undefined && (await maySeeTemplate(context, caller, idOfTemplate(found)))) return found;
  throw templateNotFound(text);
}

/** Whether the caller may see what was made from a template. */
export async function maySeeTemplate(context: ApiContext, caller: Caller, templateId: string): Promise<boolean> {
  return (await permittedTemplateIds(context, caller))?.has(templateId) ?? true;
}

/**
 * Throws `scope_missing` unless the caller may create from what the text names. The answer is the same whether it
 * exists or not. One of the key's own references may name a template that will only be made by the create.
 */
export async function permitSource(context: ApiContext, caller: Caller, text: string): Promise<void> {
  if (caller.templates.length === 0 || caller.templates.includes(text.trim().toLowerCase())) return;
  const found = await findTemplate(context, caller.team, text, 'remembered');
  if (found === undefined || !(await maySeeTemplate(context, caller, idOfTemplate(found)))) throw otherTemplate(caller);
}

/** The same for the source that was found: a snapshot may have the name of a template. */
export async function permitSourceId(context: ApiContext, caller: Caller, templateId: string): Promise<void> {
  if (!(await maySeeTemplate(context, caller, templateId))) throw otherTemplate(caller);
}

function otherTemplate({ templates }: Caller): SoulBoxError {
  return new SoulBoxError(
    'scope_missing',
    `The API key may create sandboxes only from these templates: ${templates.join(', ').slice(0, 300)}.`,
  );
}
