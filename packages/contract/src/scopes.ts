/**
 * What a caller may do. None includes another.
 *
 * - `create`: make and delete what a team has: sandboxes, copies, snapshots, templates, functions.
 * - `run`: use the insides of sandboxes (envd, signed URLs, programs), change their state, and call functions.
 * - `read`: lists, details, logs and metrics.
 * - `admin`: API keys, secrets, signing keys, webhooks, the audit log.
 */
export const scopes = ['create', 'run', 'read', 'admin'] as const;
export type Scope = (typeof scopes)[number];

/** Names for sets of scopes. */
export const roles = ['admin', 'developer', 'viewer'] as const;
export type Role = (typeof roles)[number];

const scopesByRole = {
  admin: scopes,
  developer: ['create', 'run', 'read'],
  viewer: ['read'],
} as const satisfies Record<Role, readonly Scope[]>;

export function scopesOfRole(role: Role): readonly Scope[] {
  return scopesByRole[role];
}

/** Each scope once, in the order of `scopes`. */
export function orderScopes(given: Iterable<Scope>): Scope[] {
  const set = new Set(given);
  return scopes.filter((scope) => set.has(scope));
}

/** Templates to which one key can be restricted. */
export const keyTemplatesMax = 20;
const templateForm = /^(?:[a-z0-9-_]+\/)?[a-z0-9-_]+$/;

/** Whether a key can be restricted to this reference: an id or a name, with a team or not, without a tag. */
export function isKeyTemplate(text: string): boolean {
  return text.length <= 128 && templateForm.test(text);
}

/** As references of templates are compared. */
export const normalTemplate = (text: string): string => text.trim().toLowerCase();
