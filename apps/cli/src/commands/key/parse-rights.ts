import { isKeyTemplate, keyTemplatesMax, normalTemplate, roles, scopes, scopesOfRole } from '@soulbox/contract';
import type { Role, Scope } from '@soulbox/contract';
import { parseChoiceFlag } from '../../command-line/shared-args.ts';
import { UsageError } from '../../command-line/usage-error.ts';

/** What a new key may do, as typed. */
interface Flags {
  readonly role: string | undefined;
  readonly scopes: readonly string[];
  readonly templates: readonly string[];
  readonly expires: string | undefined;
}

/** The same, understood. */
export interface Rights {
  readonly role: Role | undefined;
  readonly scopes: readonly Scope[];
  /** Neither a role nor scopes were given. */
  readonly isOpen: boolean;
  readonly templates: readonly string[];
  readonly expiresAt: number | undefined;
}

/** Throws UsageError. Without a role and scopes, the key has all; with templates, all that such a key can have. */
export function parseRights(flags: Flags, now: number): Rights {
  const role = parseChoiceFlag('role', flags.role, roles);
  const given = flags.scopes.map((text) => parseScope(text));
  const templates = flags.templates.map(parseTemplate);
  if (templates.length > keyTemplatesMax) throw new UsageError(`A key has at most ${keyTemplatesMax} templates.`);
  const widest = templates.length === 0 ? scopes : scopesOfRole('developer');
  const isOpen = role === undefined && given.length === 0;
  const all = isOpen ? widest : [...(role === undefined ? [] : scopesOfRole(role)), ...given];
  if (templates.length > 0 && all.includes('admin'))
    throw new UsageError('A key with the scope admin cannot be restricted to templates. Use --role developer.');
  return { role, scopes: all, isOpen, templates, expiresAt: parseExpiry(flags.expires, now) };
}

function parseScope(text: string): Scope {
  const scope = parseChoiceFlag('scope', text, scopes);
  if (scope === undefined) throw new UsageError('--scope needs a value.');
  return scope;
}

function parseTemplate(text: string): string {
  const template = normalTemplate(text);
  if (isKeyTemplate(template)) return template;
  throw new UsageError(`--template must be the id or name of a template without a tag, not ${JSON.stringify(text)}.`);
}

const unitMs = { m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const yearsMaxMs = 100 * 365 * unitMs.d;

/** A time from now such as `30d`, `12h` or `90m`, or a date such as `2027-01-31`. */
function parseExpiry(text: string | undefined, now: number): number | undefined {
  if (text === undefined) return undefined;
  const [, count, unit] = /^([1-9]\d{0,5})([mhd])$/.exec(text) ?? [];
  const isDate = /^\d{4}-\d\d-\d\d(?:T[\d:.]+(?:Z|[+-]\d\d:\d\d))?$/.test(text);
  const at =
    count !== undefined ? now + Number(count) * unitMs[unit as keyof typeof unitMs] : isDate ? Date.parse(text) : NaN;
  if (at > now && at <= now + yearsMaxMs) return at;
  throw new UsageError(
    `--expires must be a time from now such as 30d, 12h or 90m, or a later date such as 2030-01-31, not ${JSON.stringify(text)}.`,
  );
}
