import type { Secret } from '@soulbox/base';
import { parseTemplate } from '@soulbox/egress-policies';
import type { TemplatePart } from '@soulbox/egress-policies';
import { EgressRefusal } from '../judge/refusal.ts';
import type { HostRule, PolicedSandbox } from '../policies/policed-sandbox.ts';
import type { ConnectionValues } from './placeholder-values.ts';

/** The headers that a rule sets, with the values of its placeholders. */
export interface RuleHeaders {
  /** Flat: names and values. */
  readonly headers: readonly string[];
  /** In lower case. The sandbox's own headers of these names are dropped. */
  readonly names: ReadonlySet<string>;
  /** The values that must not come back to the sandbox. */
  readonly secrets: readonly Secret[];
}

const none: RuleHeaders = { headers: [], names: new Set(), secrets: [] };
type Template = readonly [name: string, parts: readonly TemplatePart[]];
const parsed = new WeakMap<HostRule, readonly Template[]>();

function templatesOf(rule: HostRule): readonly Template[] {
  const known = parsed.get(rule);
  if (known !== undefined) return known;
  const templates = Object.entries(rule.headers).map(([name, value]): Template => [name, parseTemplate(value)]);
  parsed.set(rule, templates);
  return templates;
}

/**
 * The headers that the rule sets in a request to this host. Throws `EgressRefusal` with `secret_host_refused` or
 * `placeholder_failed`, the latter also if the request is not encrypted: a secret does not leave in clear text.
 */
export async function headersOfRule(
  rule: HostRule | undefined,
  options: {
    readonly sandbox: PolicedSandbox;
    readonly scheme: 'http' | 'https';
    readonly values: ConnectionValues;
  },
): Promise<RuleHeaders> {
  if (rule === undefined) return none;
  const { sandbox, scheme, values } = options;
  const templates = templatesOf(rule);
  const all = templates.flatMap(([, parts]) => parts);
  const wanted = new Set(all.flatMap((part) => (part.kind === 'text' ? [] : [part.name])));
  if (wanted.size > 0 && scheme === 'http') throw new EgressRefusal('placeholder_failed');
  const found = await values.resolve(sandbox, [...wanted]);
  const textOf = (part: TemplatePart): string =>
    part.kind === 'text' ? part.text : (found.get(part.name)?.reveal() ?? '');
  return {
    headers: templates.flatMap(([name, parts]) => [name, parts.map(textOf).join('')]),
    names: new Set(templates.map(([name]) => name.toLowerCase())),
    secrets: [...found.values()],
  };
}
