import { cardsIn, ibansIn, socialSecurityNumbersIn } from './checked-numbers.ts';
import { addressesIn } from './network-addresses.ts';
import type { Span } from './span.ts';

/** What was found and removed. */
export type Finding = 'token' | 'email' | 'card' | 'iban' | 'ssn' | 'address' | 'mac' | 'phone';

/** Longer texts are cut before the rules run, which bounds their time. Characters. */
export const scannedCharsMax = 4096;
/** Longer texts are cut after the rules. Characters. */
export const textCharsMax = 256;

/** Names of fields and variables whose values are secrets, and the beginning of such a name in `NAME=value`. */
export const secretName =
  /pass(?:word|wd|phrase)?|pwd|secret|token|api[_-]?key|auth(?:orization)?|bearer|credential|private[_-]?key|cookie|session|signature|otp|pin$/i;

/**
 * Forms of tokens. Every quantifier has a bound or is followed by nothing that could match the same character, so no
 * text makes them slow.
 */
const tokenForms: readonly RegExp[] = [
  /-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----[^]*/g,
  /\be2b_[0-9a-f]{16,80}/g,
  /\b(?:sk|pk|rk)[_-](?:live|test|proj|ant|or)?[_-]?[A-Za-z0-9_-]{16,256}/g,
  /\b(?:gh[pousr]_|github_pat_|glpat-|npm_|pypi-|hf_|dop_v1_|shpat_|xox[abeprs]-|SG\.|AIza|ya29\.)[A-Za-z0-9._-]{16,512}/g,
  /\b(?:AKIA|ASIA|ABIA|ACCA)[0-9A-Z]{16}\b/g,
  /\beyJ[A-Za-z0-9_-]{8,4096}\.[A-Za-z0-9_-]{2,4096}(?:\.[A-Za-z0-9_-]{0,4096})?/g,
  /\b(?:bearer|basic|digest)\s{1,4}[A-Za-z0-9._~+/=-]{8,4096}/gi,
  /(?<=:\/\/)[^\s/:@]{0,128}:[^\s/@]{1,256}(?=@)/g,
  /(?<![A-Za-z0-9])(?:[A-Za-z0-9_-]{0,32}?(?:password|passwd|passphrase|pwd|secret|token|api[_-]?key|authorization|credential|private[_-]?key|cookie))["']?\s{0,4}[=:]\s{0,4}[^\s,;&]{1,512}/gi,
];

const emailForm = /[A-Za-z0-9._%+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,63}/g;
const macForm =
  /(?<![0-9A-Fa-f:.-])(?:[0-9A-Fa-f]{2}([:-])(?:[0-9A-Fa-f]{2}\1){4}[0-9A-Fa-f]{2}|[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4})(?![0-9A-Fa-f:-])/g;
/** Only with the international plus: any other digits may be an amount, a time or a version. */
const phoneForm = /(?<![\w+])\+[1-9]\d{0,2}(?:[ .-]?\(?\d{1,5}\)?){2,6}(?!\w)/g;

const rules: readonly (readonly [Finding, (text: string) => Iterable<Span>])[] = [
  ['token', (text) => tokenForms.flatMap((form) => spansOf(form, text))],
  ['email', (text) => spansOf(emailForm, text)],
  ['iban', ibansIn],
  ['card', cardsIn],
  ['ssn', socialSecurityNumbersIn],
  ['mac', (text) => spansOf(macForm, text)],
  ['address', addressesIn],
  ['phone', (text) => spansOf(phoneForm, text).filter(({ from, to }) => hasPhoneLength(text.slice(from, to)))],
];

function hasPhoneLength(text: string): boolean {
  const digits = text.replaceAll(/\D/g, '').length;
  return digits >= 8 && digits <= 15;
}

function spansOf(form: RegExp, text: string): Span[] {
  return [...text.matchAll(form)].map(({ index, 0: { length } }) => ({ from: index, to: index + length }));
}

/**
 * Removes secrets and personal data from a text, and returns what kinds were found. Names of people cannot be found by
 * rules, so a text of people does not belong into a record at all: this is the second defence, behind the forms of the
 * fields.
 */
export function sanitiseText(text: string): { readonly text: string; readonly found: readonly Finding[] } {
  let clean = text
    .slice(0, scannedCharsMax)
    .toWellFormed()
    .replaceAll(/\p{Cc}/gu, ' ');
  const found = new Set<Finding>();
  for (const [kind, spans] of rules) {
    let [result, end] = ['', 0];
    for (const { from, to } of [...spans(clean)].sort((one, other) => one.from - other.from)) {
      if (to <= end) continue;
      result += `${clean.slice(end, Math.max(from, end))}[${kind}]`;
      end = to;
      found.add(kind);
    }
    clean = result + clean.slice(end);
  }
  return { text: clean.length > textCharsMax ? `${clean.slice(0, textCharsMax - 1)}…` : clean, found: [...found] };
}
