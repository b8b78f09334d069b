import { SoulBoxError } from '@soulbox/base';
import type { TeamRecord } from '@soulbox/storage';
import type { ApiContext } from '../context.ts';
import { templateMakeMs } from '../limits.ts';
import { callRunner } from '../runner/call.ts';
import { findTemplate, templateNotFound } from './template.ts';
import type { FoundTemplate } from './template.ts';
import { defaultTag, parseTemplateReference } from '../names/reference.ts';

/**
 * The template that a reference means, made first if it is one of the server's own that is not there yet. Throws
 * `template_not_found`, `template_being_made`, and what `findTemplate` throws.
 */
export async function getOrMakeTemplate(context: ApiContext, team: TeamRecord, text: string): Promise<FoundTemplate> {
  const present = await findTemplate(context, team, text);
  if (present !== undefined) return present;
  const found = (await makeMissing(context, text)) ? await findTemplate(context, team, text) : undefined;
  if (found === undefined) throw templateNotFound(text);
  return found;
}

/**
 * Has a template of the server's own made that is not there yet. False when the reference names none. Throws
 * `template_being_made` with what is done right now when it takes longer than a client waits; it goes on being made.
 */
async function makeMissing(context: ApiContext, text: string): Promise<boolean> {
  const reference = parseTemplateReference(text);
  if (reference === undefined || reference.namespace !== undefined) return false;
  const { name, tag = defaultTag } = reference;
  if (tag !== defaultTag || !(await context.templates.makeable()).includes(name)) return false;
  const { template, step, elapsedSeconds } = await callRunner(
    (options) => context.runner.makeTemplate({ name, waitMs: templateMakeMs }, options),
    templateMakeMs + 5000,
  );
  if (template !== undefined) return true;
  throw new SoulBoxError(
    'template_being_made',
    `Template "${name}" is being built: ${step}, ${elapsedSeconds} s so far. Retry.`,
  );
}
