import { canonicalText } from './canonical.ts';

/**
 * When a record is written: `admitted` before an action with outside effect, `outcome` after it (with the same request
 * id), `event` once, together with what it describes.
 */
export type AuditStage = 'admitted' | 'outcome' | 'event';

/** What the retention depends on, beside the jurisdiction. */
export type AuditClass = 'security' | 'operation' | 'reading';

export interface AuditActor {
  /**
   * `key`: an API key. `user`: a person who has signed in. `operator`: a command on the host, or the operator's token.
   * `sandbox`: code in a sandbox, through the server. `token`: who uses a sandbox directly; the id says what was shown. `server`: the server itself.
   */
  readonly kind: 'key' | 'user' | 'operator' | 'sandbox' | 'server' | 'token';
  /** Id of the key, user or sandbox, or a fixed word. Never a name. */
  readonly id: string;
}

export interface AuditTarget {
  /** Such as `sandbox`. */
  readonly kind: string;
  /** Empty when it has no id yet. */
  readonly id: string;
  readonly team: string;
}

export interface AuditRequest {
  readonly id: string;
  readonly method: string;
  /** The pattern of the route, such as `/sandboxes/:sandboxID`: a path may contain what a caller typed by mistake. */
  readonly route: string;
}

/** The clear part of where a request came from. The full address and user agent are in the sealed part. */
export interface AuditSource {
  /** The address without its host part (/24, /48). */
  readonly network?: string | undefined;
  /** The first word of the user agent, without its version. */
  readonly agent?: string | undefined;
}

export interface AuditResult {
  readonly status: 'success' | 'failure' | 'aborted';
  /** The HTTP status; 0 for commands of the host. */
  readonly code: number;
}

/** Numbers, ids and digests; the names are those of `factForms` in sanitise.ts. */
export type AuditFacts = Readonly<Record<string, string | number | boolean>>;

/** What happened, before it has a place in a log. `sanitise` makes the stored form. */
export interface AuditDraft {
  /** A UUID of version 7. */
  readonly id: string;
  /** Milliseconds since the Unix epoch. */
  readonly time: number;
  readonly stage: AuditStage;
  readonly class: AuditClass;
  /** Noun and verb, such as `sandbox.create`. */
  readonly action: string;
  readonly actor: AuditActor;
  /** What the credential allowed, such as `team`. */
  readonly scope: string;
  readonly target: AuditTarget;
  readonly request?: AuditRequest | undefined;
  readonly source?: AuditSource | undefined;
  readonly result?: AuditResult | undefined;
  /** Why it was allowed or refused: a fixed word, such as `key` or `unauthorized`. */
  readonly rule: string;
  readonly jurisdiction: string;
  /** From this time on it may be pruned. Milliseconds since the Unix epoch. */
  readonly retainUntil: number;
  readonly facts?: AuditFacts | undefined;
  /** Id of the data key of `sealed`. */
  readonly piiKeyId?: string | undefined;
  /** Personal fields, encrypted (seal.ts). */
  readonly sealed?: string | undefined;
}

/** The place of a record in its log. */
export interface AuditPosition {
  /** The index of the leaf. */
  readonly seq: number;
  /** Names one life of the database that numbers the records; a database that was set back gets another. */
  readonly writer: string;
  /** Counts the records of the writer from 0 without gaps. */
  readonly writerSeq: number;
}

/** A record as it is stored. No field is free text. */
export interface AuditRecord extends AuditDraft, AuditPosition {
  readonly v: 1;
}

/** Limit of the bytes of a leaf. The lengths in bundles have 16 bits. */
export const recordBytesMax = 8192;

/**
 * The text of a leaf: canonical JSON (RFC 8785), so that equal records have equal hashes in every language. Throws
 * RangeError for a record that is too large.
 */
export function leafOf(draft: AuditDraft, { seq, writer, writerSeq }: AuditPosition): string {
  return textOf(inOrder(draft, { seq, writer, writerSeq }));
}

function textOf(record: AuditRecord): string {
  const text = canonicalText(record);
  if (Buffer.byteLength(text) > recordBytesMax)
    throw new RangeError(`An audit record must have at most ${recordBytesMax} bytes.`);
  return text;
}

/** The members in canonical order, in which `canonicalText` is fast. */
function inOrder(draft: AuditDraft, { seq, writer, writerSeq }: AuditPosition): AuditRecord {
  const { actor, request, result, target, source } = draft;
  return {
    action: draft.action,
    actor: { id: actor.id, kind: actor.kind },
    class: draft.class,
    facts: draft.facts,
    id: draft.id,
    jurisdiction: draft.jurisdiction,
    piiKeyId: draft.piiKeyId,
    request: request && { id: request.id, method: request.method, route: request.route },
    result: result && { code: result.code, status: result.status },
    retainUntil: draft.retainUntil,
    rule: draft.rule,
    scope: draft.scope,
    sealed: draft.sealed,
    seq,
    source: source && { agent: source.agent, network: source.network },
    stage: draft.stage,
    target: { id: target.id, kind: target.kind, team: target.team },
    time: draft.time,
    v: 1,
    writer,
    writerSeq,
  };
}

/** The record of a leaf. The leaf is trusted: only the server writes leaves, and their hashes are in the tree. */
export function recordOfLeaf(leaf: string | Uint8Array): AuditRecord {
  return JSON.parse(typeof leaf === 'string' ? leaf : Buffer.from(leaf).toString('utf8')) as AuditRecord;
}

/** The same record at another place, with every member that it has. */
export function moveLeaf(leaf: string | Uint8Array, { seq, writer, writerSeq }: AuditPosition): string {
  return textOf({ ...recordOfLeaf(leaf), seq, writer, writerSeq });
}
