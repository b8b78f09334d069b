import { cardsIn, ibansIn, socialSecurityNumbersIn } from './rules/checked-numbers.ts';
import { decodedParts, foldText, removeTerminalSequences } from './rules/disguises.ts';
import { nationalIdsIn } from './rules/national-ids.ts';
import { addressesIn } from './rules/network-addresses.ts';
import { phoneNumbersIn } from './rules/phone-numbers.ts';
import { spansOf } from './rules/spans-of.ts';
import { tokensIn } from './rules/tokens.ts';
import type { Span } from './span.ts';

/** What was found and removed. */
export type Finding = 'token' | 'email' | 'card' | 'iban' | 'ssn' | 'national-id' | 'address' | 'mac' | 'phone';

/** Longer texts are cut before the rules run, which bounds their time. Characters. */
export const scannedCharsMax = 4096;
/** Longer texts are cut after the rules. Characters. */
export const textCharsMax = 256;

const emailForm = /[\p{L}\p{N}._%+-]{1,64}@(?:[\p{L}\p{N}-]{1,63}\.){1,8}\p{L}{2,63}/gu;
const macForm =
  /(?<![0-9A-Fa-f:.-])(?:[0-9A-Fa-f]{2}([:-])(?:[0-9A-Fa-f]{2}\1){4}[0-9A-Fa-f]{2}|[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4})(?![0-9A-Fa-f:-])/g;

const rules: readonly (readonly [Finding, (text: string) => Iterable<Span>])[] = [
  ['token', tokensIn],
  ['email', (text) => spansOf(emailForm, text)],
  ['iban', ibansIn],
  ['card', cardsIn],
  ['ssn', socialSecurityNumbersIn],
  ['national-id', nationalIdsIn],
  ['mac', (text) => spansOf(macForm, text)],
  ['address', addressesIn],
  ['phone', phoneNumbersIn],
];

interface Sanitised {
  readonly text: string;
  readonly found: readonly Finding[];
}

/**
 * Removes secrets and personal data from a text, and returns what kinds were found; also where they are disguised: with
 * look-alikes or invisible characters, between sequences for terminals, percent-encoded, in base64 or in hexadecimal.
 * Names of people cannot be found by rules, so a text of people does not belong into a record at all: this is the second
 * defence, behind the forms of the fields.
 */
export function sanitiseText(text: string): Sanitised {
  const start = removeTerminalSequences(text.slice(0, scannedCharsMax).toWellFormed()).replaceAll(
    /[\p{Cc}\u2028\u2029]/gu,
    ' ',
  );
  const steps = [withoutPlain, withoutFolded, withoutEncoded];
  const found = new Set<Finding>();
  let clean = start;
  for (const step of steps) {
    const result = step(clean);
    clean = result.text;
    for (const kind of result.found) found.add(kind);
  }
  return { text: clean.length > textCharsMax ? `${clean.slice(0, textCharsMax - 1)}…` : clean, found: [...found] };
}

function withoutPlain(text: string): Sanitised {
  const found = new Set<Finding>();
  let clean = text;
  for (const [kind, spans] of rules) {
    const all = [...spans(clean)];
    if (all.length === 0) continue;
    found.add(kind);
    clean = replaced(clean, all, () => `[${kind}]`);
  }
  return { text: clean, found: [...found] };
}

/** The plain form of the whole text, if the rules find something in it. */
function withoutFolded(text: string): Sanitised {
  const folded = foldText(text);
  if (folded === text) return { text, found: [] };
  const result = withoutPlain(folded);
  return result.found.length > 0 ? result : { text, found: [] };
}

/** Encoded parts are removed whole. */
function withoutEncoded(text: string): Sanitised {
  const found: Finding[] = [];
  const hidden: (Span & { readonly kind: Finding })[] = [];
  for (const { from, to, plain } of decodedParts(text)) {
    const [kind] = withoutPlain(foldText(plain)).found;
    if (kind === undefined) continue;
    found.push(kind);
    hidden.push({ from, to, kind });
  }
  return { text: replaced(text, hidden, ({ kind }) => `[${kind}]`), found };
}

/** Of overlapping spans, what the first one does not cover is replaced as well. */
function replaced<S extends Span>(text: string, spans: readonly S[], by: (span: S) => string): string {
  let [result, end] = ['', 0];
  for (const span of [...spans].sort((one, other) => one.from - other.from)) {
    if (span.to <= end) continue;
    result += text.slice(end, Math.max(span.from, end)) + by(span);
    end = span.to;
  }
  return result + text.slice(end);
}
