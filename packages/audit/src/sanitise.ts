import type { AuditDraft, AuditFacts } from './record.ts';
import { secretName } from './rules/tokens.ts';
import { sanitiseText } from './sanitise-text.ts';

/** Stands where a value was not stored. */
export const removed = '[removed]';

const word = /^[a-z][a-z0-9_-]{0,39}$/;
/** Ids of SoulBox, E2B and UUIDs; names of templates and functions, with a tag. */
const id = /^[A-Za-z0-9_][A-Za-z0-9_:./-]{0,127}$/;
const hexDigest = /^[0-9a-f]{64}$/;

/** The only facts that are stored, each with its form. Everything else about an action is not. */
const factForms: Readonly<Record<string, RegExp | 'number' | 'boolean'>> = {
  /** Ranges and counts of pruning and erasing. */
  from: 'number',
  to: 'number',
  count: 'number',
  rootBefore: hexDigest,
  minimum: 'number',
  /** Of an erased subject. */
  erasedKeyId: /^[0-9a-f]{24}$/,
  basis: word,
  /** Of a legal hold. */
  holdId: id,
  until: 'number',
  /** Of a log that continues another one. */
  previousOrigin: id,
  previousSize: 'number',
  /** Of the use of a secret. */
  sandbox: id,
  version: 'number',
  /** The host of the rule: a name or `*.domain`. */
  host: /^(?=.{1,255}$)(?:\*\.)?[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*$/,
  /** Of a signed URL. */
  signingKeyId: id,
  once: 'boolean',
  /** Of a membership. */
  role: word,
  /** Of requests. */
  reason: word,
  bytes: 'number',
  digest: hexDigest,
  /** Of a new sandbox: the names or ids of its volumes, separated by commas. */
  volumes: /^[\w-]{1,128}(?:,[\w-]{1,128}){0,9}$/,
  /** The same for its buckets. */
  buckets: /^[\w-]{1,128}(?:,[\w-]{1,128}){0,9}$/,
  /** Of a bucket: whether its credentials were `set` or `removed`, and whether it became read-only. */
  access: word,
  readOnly: 'boolean',
  /** Of a network policy: what it contains, and the hosts of its rules, separated by commas. */
  allowOut: 'number',
  denyOut: 'number',
  rules: 'number',
  ruleHosts: /^(?=.{1,2600}$)(?:\*\.)?[a-z0-9_.-]{1,253}(?:,(?:\*\.)?[a-z0-9_.-]{1,253}){0,9}$/,
  placeholders: 'number',
  internet: 'boolean',
  learn: 'boolean',
  limits: 'boolean',
  proxy: 'boolean',
  /** `unavailable`: the key of the personal fields could not be had, so the record is without them. */
  personal: word,
};

/**
 * The stored form of a draft. Fields that the type does not have are dropped. A value without the form of its field
 * becomes `[removed]`; then rules for secrets and personal data run over what remains, in case an id or a name has the
 * form of one.
 */
export function sanitise(draft: AuditDraft): AuditDraft {
  const { actor, target, request, source, result } = draft;
  return {
    id: keep(draft.id, id),
    time: wholeNumber(draft.time),
    stage: draft.stage,
    class: draft.class,
    action: checked(draft.action, /^[a-z][a-z0-9_-]{0,39}(?:\.[a-z][a-z0-9_-]{0,39}){1,3}$/),
    actor: { kind: actor.kind, id: checked(actor.id, id) },
    scope: checked(draft.scope, word),
    target: {
      kind: checked(target.kind, word),
      id: target.id === '' ? '' : checked(target.id, id),
      team: checked(target.team, id),
    },
    request: request && {
      id: checked(request.id, id),
      method: keep(request.method, /^[A-Z]{3,10}$/),
      route: checked(request.route, /^[A-Za-z0-9/:._*-]{1,200}$/),
    },
    source: source && {
      network: source.network === undefined ? undefined : keep(source.network, /^[0-9a-f.:]{2,45}\/(?:24|48)$/),
      agent: source.agent === undefined ? undefined : checked(source.agent, /^[A-Za-z][A-Za-z0-9_.-]{0,39}$/),
    },
    result: result && { status: result.status, code: wholeNumber(result.code) },
    rule: checked(draft.rule, word),
    jurisdiction: checked(draft.jurisdiction, word),
    retainUntil: wholeNumber(draft.retainUntil),
    facts: draft.facts && sanitiseFacts(draft.facts),
    piiKeyId: draft.piiKeyId === undefined ? undefined : keep(draft.piiKeyId, /^[0-9a-f]{24}$/),
    sealed: draft.sealed === undefined ? undefined : keepCiphertext(draft.sealed),
  };
}

function keep(value: string, form: RegExp): string {
  return form.test(value) ? value : removed;
}

/** base64url of 28 to 768 bytes. A form that also counts takes twice as long. */
function keepCiphertext(value: string): string {
  return value.length >= 38 && value.length <= 1024 && /^[A-Za-z0-9_-]*$/.test(value) ? value : removed;
}

/**
 * UUIDs, and words that begin with a letter and have no separators: most ids of ours. No rule finds anything in the
 * latter (but the token of Databricks, `dapi…`), and in a UUID only by chance, so they are not searched. Most of the time of a record would be spent on that.
 */
const plainId = /^(?!dapi)(?:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|[a-z][a-z0-9]{0,39})$/;

/** For what a caller chose or typed: the form may also be that of a token or a number of a person. */
function checked(value: string, form: RegExp): string {
  if (plainId.test(value)) return value;
  return form.test(value) && isClean(value) ? value : removed;
}

/** Words in which the rules have found nothing: most are names of clients, which are few. */
const clean = new Set<string>();
const cleanMax = 1000;

function isClean(value: string): boolean {
  if (clean.has(value)) return true;
  if (sanitiseText(value).found.length > 0) return false;
  if (clean.size >= cleanMax) clean.clear();
  clean.add(value);
  return true;
}

const hostFacts: ReadonlySet<string> = new Set(['host', 'ruleHosts']);

/**
 * Of host names, only the part that was found is removed. A key that chooses the host of a secret could otherwise hide it,
 * and others beside it, with a label like a card number.
 */
function checkedHosts(value: string, form: RegExp): string {
  if (!form.test(value)) return removed;
  const hosts = value.split(',').map((host) => (isClean(host) ? host : sanitiseText(host).text));
  return hosts.join(',');
}

function wholeNumber(value: number): number {
  return Number.isSafeInteger(value) ? value : 0;
}

function sanitiseFacts(facts: AuditFacts): AuditFacts {
  // In the order of a leaf.
  const sorted = Object.entries(facts).sort(([one], [other]) => (one < other ? -1 : 1));
  const entries = sorted.flatMap(([name, value]) => {
    const form = Object.hasOwn(factForms, name) ? factForms[name] : undefined;
    if (form === undefined || secretName.test(name)) return [];
    const check = hostFacts.has(name) ? checkedHosts : checked;
    if (form instanceof RegExp) return [[name, typeof value === 'string' ? check(value, form) : removed] as const];
    return [[name, typeof value === form && Number.isSafeInteger(Number(value)) ? value : removed] as const];
  });
  return Object.fromEntries(entries);
}
