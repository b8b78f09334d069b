import { SoulBoxError } from '@soulbox/base';
import type { BuildRecord, TeamRecord, TemplateRecord } from '@soulbox/storage';
import { z } from 'zod';
import type { ApiContext } from '../context.ts';
import { quoteForError } from '../http/quote-for-error.ts';
import { getOwnTemplate } from './template.ts';

export const buildParams = z.object({
  templateID: z.string(),
  buildID: z.string().describe('UUID of the build, as returned when it was requested.'),
});

/** A build of one of the team's templates. Throws `template_not_found` and `build_not_found`. */
export async function getOwnBuild(
  context: ApiContext,
  team: TeamRecord,
  { templateID, buildID }: z.infer<typeof buildParams>,
): Promise<{ template: TemplateRecord; build: BuildRecord }> {
  const template = await getOwnTemplate(context, team, templateID);
  const build = await context.records.builds.find(buildID.toLowerCase());
  if (build?.templateId === template.id) return { template, build };
  throw new SoulBoxError('build_not_found', `Build ${quoteForError(buildID)} was not found.`);
}

/**
 * The finished build that a tag points at. Throws `template_not_found`; `text` is the caller's reference, for the
 * message.
 */
export async function getTaggedBuild(
  context: ApiContext,
  { id }: TemplateRecord,
  tag: string,
  text: string,
): Promise<BuildRecord> {
  const pointer = await context.records.templates.findTag(id, tag);
  const build = pointer && (await context.records.builds.find(pointer.buildId));
  if (build !== undefined) return build;
  throw new SoulBoxError(
    'template_not_found',
    `Template ${quoteForError(text)} has no finished build with the tag "${tag}".`,
  );
}
