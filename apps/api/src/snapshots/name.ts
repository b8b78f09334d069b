import { SoulBoxError } from '@soulbox/base';
import type { TeamRecord } from '@soulbox/storage';
import type { ApiContext } from '../context.ts';
import { quoteForError } from '../http/quote-for-error.ts';
import { defaultTag, isOwnNamespace, namespaceOf, parseTag, parseTemplateReference } from '../names/reference.ts';

export interface SnapshotName {
  /** Empty for a snapshot without a name. */
  readonly name: string;
  readonly tag: string;
}

/**
 * Parses the name of a new snapshot: `[team/]name[:tag]`. Throws `bad_request` for other forms and for another team's
 * namespace, and `name_taken` for the name of a template of the server or the team.
 */
export async function parseSnapshotName(
  context: ApiContext,
  team: TeamRecord,
  text: string | undefined,
): Promise<SnapshotName> {
  if (text === undefined) return { name: '', tag: defaultTag };
  const reference = parseTemplateReference(text);
  if (reference === undefined || parseTag(reference.tag ?? defaultTag) === undefined)
    throw badName(
      text,
      'must have the form [team/]name[:tag] with a-z, 0-9, - and _ and at most 128 characters. The tag must not be a UUID',
    );
  if (!isOwnNamespace(team, reference.namespace))
    throw badName(text, `belongs to another team. Yours is ${quoteForError(namespaceOf(team))}`);
  await refuseTemplateName(context, team, reference.name);
  return { name: reference.name, tag: reference.tag ?? defaultTag };
}

function badName(text: string, fault: string): SoulBoxError {
  return new SoulBoxError('bad_request', `name: ${quoteForError(text)} ${fault}.`);
}

/** A snapshot with this name would silently replace the template in the team's creates. */
async function refuseTemplateName(context: ApiContext, team: TeamRecord, name: string): Promise<void> {
  if (await context.templates.isTaken(name))
    throw new SoulBoxError(
      'name_taken',
      `name: ${quoteForError(name)} is a template of the server. Choose another name.`,
    );
  if ((await context.records.templates.findByName(team.id, name)) !== undefined)
    throw new SoulBoxError(
      'name_taken',
      `name: ${quoteForError(name)} is a template of the team. Choose another name.`,
    );
}
