import type { TeamRecord } from '@soulbox/storage';

/** `[namespace/]name[:tag]`, how callers name a template. E2B: lower-cased and trimmed, at most 128 characters. */
export interface TemplateReference {
  readonly namespace: string | undefined;
  readonly name: string;
  readonly tag: string | undefined;
}

/** The one that a reference without a tag means. */
export const defaultTag = 'default';

const referenceMax = 128;
const referenceForm = /^(?:([a-z0-9-_]+)\/)?([a-z0-9-_]+)(?::([a-z0-9-_.]+))?$/;

/** E2B refuses such a tag: build ids look like that. */
const uuidForm = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const tagForm = /^[a-z0-9-_.]+$/;

/** A tag as it is kept; undefined for a text that cannot be one. */
export function parseTag(text: string): string | undefined {
  const tag = text.trim().toLowerCase();
  return text.length <= referenceMax && tagForm.test(tag) && !uuidForm.test(tag) ? tag : undefined;
}

/** Undefined when the text cannot name a template. */
export function parseTemplateReference(text: string): TemplateReference | undefined {
  if (text.length > referenceMax) return undefined;
  const [, namespace, name, tag] = referenceForm.exec(text.trim().toLowerCase()) ?? [];
  return name === undefined ? undefined : { namespace, name, tag };
}

const namespaceForm = /^[a-z0-9-_]+$/;

/** What stands before the `/` in full names of a team's things: its name, or its id when that cannot be written so. */
export function namespaceOf(team: TeamRecord): string {
  const name = team.name.toLowerCase();
  return namespaceForm.test(name) ? name : team.id;
}

/** Whether a reference may mean a thing of this team. */
export function isOwnNamespace(team: TeamRecord, namespace: string | undefined): boolean {
  return namespace === undefined || namespace === team.name.toLowerCase() || namespace === team.id;
}
