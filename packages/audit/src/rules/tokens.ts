import type { Span } from '../span.ts';
import { spansOf } from './spans-of.ts';

/** Names of fields and variables whose values are secrets, and the beginning of such a name in `NAME=value`. */
export const secretName =
  /pass(?:word|wd|phrase)?|pwd|secret|token|api[_-]?key|account[_-]?key|auth(?:orization)?|bearer|credential|private[_-]?key|cookie|session|signature|otp|pin$/i;

/**
 * Forms of tokens. Every quantifier has a bound or is followed by nothing that could match the same character, so no
 * text makes them slow.
 */
const tokenForms: readonly RegExp[] = [
  /-----BEGIN [A-Z ]{0,40}PRIVATE KEY(?: BLOCK)?-----[^]*/g,
  /PuTTY-User-Key-File-[123]:[^]*/g,
  // Ours, and those of E2B.
  /(?<![A-Za-z0-9])(?:sk_)?e2b_[0-9a-f]{16,80}/g,
  /(?<![A-Za-z0-9])sbp_[0-9a-f]{16,80}/g,
  /(?<![A-Za-z0-9])(?:soulbox-master-key-1|sb1\.)\s?[A-Za-z0-9._ -]{16,512}/g,
  /\b(?:sk|pk|rk)[_-](?:live|test|proj|ant|or)?[_-]?[A-Za-z0-9_-]{16,256}/g,
  /\b(?:gh[pousr]_|github_pat_|glpat-|npm_|pypi-|hf_|dop_v1_|shpat_|xox[abeprs]-|xapp-|SG\.|AIza|ya29\.|GOCSPX-|whsec_|hvs\.|hvb\.|lin_api_|sq0csp-|EAA)[A-Za-z0-9._-]{16,512}/g,
  /\b(?:AKIA|ASIA|ABIA|ACCA)[0-9A-Z]{16}\b/g,
  // Client secrets of Azure, keys of Twilio and Mailgun, tokens of Databricks and of bots of Telegram.
  /(?<![\w~.-])[A-Za-z0-9_~.-]{3}[78]Q~[A-Za-z0-9_~.-]{31,34}/g,
  /\b(?:SK|AC|key-|dapi)[0-9a-f]{32}\b/g,
  /(?<!\w)\d{8,10}:AA[A-Za-z0-9_-]{33}/g,
  /(?<=hooks\.slack\.com\/services\/)[A-Za-z0-9/]{20,128}/g,
  /\beyJ[A-Za-z0-9_-]{8,4096}\.[A-Za-z0-9_-]{2,4096}(?:\.[A-Za-z0-9_-]{0,4096})?/g,
  /\b(?:bearer|basic|digest)\s{1,4}[A-Za-z0-9._~+/=-]{8,4096}/gi,
  // User information of a URL: with a password, or a long name, which is a token.
  /(?<=:\/\/)[^\s/:@]{0,128}:[^\s/@]{1,256}(?=@)/g,
  /(?<=:\/\/)[^\s/:@]{16,256}(?=@)/g,
  // What signs a URL or stands for its user.
  /(?<=[?&;](?:X-(?:Amz|Goog)-(?:Signature|Credential|Security-Token)|soulbox-(?:signature|nonce)|AWSAccessKeyId|(?:access|id|refresh)_token|sig(?:nature)?|code|key|jwt|auth)=)[^\s&#]{6,2048}/gi,
  /(?<![A-Za-z0-9])(?:[A-Za-z0-9_-]{0,32}?(?:password|passwd|passphrase|pwd|secret|token|api[_-]?key|account[_-]?key|access[_-]?key|authorization|credential|private[_-]?key|cookie))["']?\s{0,4}[=:]\s{0,4}(?:"[^"]{1,512}"|'[^']{1,512}'|[^\s,;&]{1,512})/gi,
];

export function tokensIn(text: string): Span[] {
  return tokenForms.flatMap((form) => spansOf(form, text));
}
