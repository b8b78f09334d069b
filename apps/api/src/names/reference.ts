import type { TeamRecord } from '@soulbox/storage';

/**
 * `[namespace/]name[:tag]`: a caller's reference to a template. As in E2B, it is lower-cased and trimmed and has at
 * most 128 characters.
 */
export interface TemplateReference {
  readonly namespace: string | undefined;
  readonly name: string;
  readonly tag: string | undefined;
}

/** The tag of a reference without a tag. */
export const defaultTag = 'default';

const referenceMax = 128;
const referenceForm = /^(?:([a-z0-9-_]+)\/)?([a-z0-9-_]+)(?::([a-z0-9-_.]+))?$/;

/** E2B refuses such a tag because build ids have this form. */
const uuidForm = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const tagForm = /^[a-z0-9-_.]+$/;

/** A tag in its stored form. Undefined for invalid text. */
export function parseTag(text: string): string | undefined {
  const tag = text.trim().toLowerCase();
  return text.length <= referenceMax && tagForm.test(tag) && !uuidForm.test(tag) ? tag : undefined;
}

/** Undefined for text that cannot name a template. */
export function parseTemplateReference(text: string): TemplateReference | undefined {
  if (text.length > referenceMax) return undefined;
  const [, namespace, name, tag] = referenceForm.exec(text.trim().toLowerCase()) ?? [];
  return name === undefined ? undefined : { namespace, name, tag };
}

const namespaceForm = /^[a-z0-9-_]+$/;

/**
 * The namespace in full names of a team's templates and snapshots: the team's name, or its id when the name is not
 * valid there.
 */
export function namespaceOf(team: TeamRecord): string {
  const name = team.name.toLowerCase();
  return namespaceForm.test(name) ? name : team.id;
}

/** Whether a reference with this namespace may mean something of this team. */
export function isOwnNamespace(team: TeamRecord, namespace: string | undefined): boolean {
  return namespace === undefined || namespace === team.name.toLowerCase() || namespace === team.id;
}
