import { SoulBoxError } from '@soulbox/base';
import type { TeamRecord } from '@soulbox/storage';
import type { ApiContext } from '../context.ts';
import { templateMakeMs } from '../limits.ts';
import { callRunner } from '../runner/call.ts';
import { findTemplate, templateNotFound } from './template.ts';
import type { FoundTemplate } from './template.ts';
import { defaultTag, parseTemplateReference } from '../names/reference.ts';

/**
 * The template of a reference. If it is one of the server's own and does not exist yet, it is made first. Throws
 * `template_not_found`, `template_being_made`, and the errors of `findTemplate`.
 */
export async function getOrMakeTemplate(context: ApiContext, team: TeamRecord, text: string): Promise<FoundTemplate> {
  const present = await findTemplate(context, team, text);
  if (present !== undefined) return present;
  const found = (await makeMissing(context, text)) ? await findTemplate(context, team, text) : undefined;
  if (found === undefined) throw templateNotFound(text);
  return found;
}

/**
 * Makes a missing template of the server's own. False when the reference names none. Throws `template_being_made` with
 * the current step when it takes longer than a client waits; the work then continues.
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
