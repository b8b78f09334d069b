import { SoulBoxError } from '@soulbox/base';
import type { TeamRecord } from '@soulbox/storage';
import type { ApiContext } from '../context.ts';
import { quoteForError } from '../http/quote-for-error.ts';
import { defaultTag, isOwnNamespace, namespaceOf, parseTag, parseTemplateReference } from '../names/reference.ts';

/** The name of a team's template for other teams. */
export function fullNameOf(team: TeamRecord, name: string): string {
  return `${namespaceOf(team)}/${name}`;
}

/**
 * Parses the name of a new build: the name of its template and its tags. A tag in the name is included; without any tag
 * the result is `default`. Throws `bad_request` for text of another form, `forbidden` for another team's namespace, and
 * `name_taken` for a name with another meaning.
 */
export async function parseNewName(
  context: ApiContext,
  team: TeamRecord,
  text: string,
  moreTags: readonly string[],
): Promise<{ name: string; tags: string[] }> {
  const reference = parseTemplateReference(text);
  if (reference === undefined)
    throw new SoulBoxError(
      'bad_request',
      `name: ${quoteForError(text)} must have the form [team/]name[:tag] with a-z, 0-9, - and _ and at most 128 characters.`,
    );
  if (!isOwnNamespace(team, reference.namespace))
    throw new SoulBoxError(
      'forbidden',
      `name: ${quoteForError(text)} belongs to another team. Yours is ${quoteForError(namespaceOf(team))}.`,
    );
  const given = [...(reference.tag === undefined ? [] : [reference.tag]), ...moreTags].map(getTag);
  await refuseTaken(context, team, reference.name);
  return { name: reference.name, tags: given.length === 0 ? [defaultTag] : [...new Set(given)] };
}

/** A tag in its stored form. Throws `bad_request`. */
export function getTag(text: string): string {
  const tag = parseTag(text);
  if (tag !== undefined) return tag;
  throw new SoulBoxError(
    'bad_request',
    `tag: ${quoteForError(text)} must consist of a-z, 0-9, -, _ and . and must not be a UUID.`,
  );
}

async function refuseTaken(context: ApiContext, team: TeamRecord, name: string): Promise<void> {
  if (await context.templates.isTaken(name))
    throw new SoulBoxError(
      'name_taken',
      `name: ${quoteForError(name)} is a template of the server. Choose another name.`,
    );
  const all = { teamId: team.id, sandboxId: undefined, tag: undefined, after: undefined };
  const { snapshots } = await context.records.snapshots.list({ ...all, name, limit: 1 });
  if (snapshots.length > 0)
    throw new SoulBoxError(
      'name_taken',
      `name: ${quoteForError(name)} is a snapshot of the team. Choose another name, or delete the snapshot.`,
    );
}
