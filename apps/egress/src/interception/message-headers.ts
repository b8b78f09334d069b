import type { RuleHeaders } from './rule-headers.ts';

/** Alternating names and values, as they were on the wire. */
export type RawHeaders = readonly string[];

/** For one hop only (RFC 9110, section 7.6.1), or what each hop does by itself. */
const hopByHop: ReadonlySet<string> = new Set([
  ...['connection', 'keep-alive', 'proxy-connection', 'proxy-authorization', 'transfer-encoding', 'te', 'trailer'],
  ...['upgrade', 'http2-settings'],
]);
const framing: ReadonlySet<string> = new Set(['host', 'content-length', 'expect']);
/** Some servers obey these instead of the method and path that were judged. */
const overrides: ReadonlySet<string> = new Set([
  ...['x-http-method', 'x-http-method-override', 'x-method-override', 'x-original-url', 'x-rewrite-url'],
]);

/** The headers of a request that goes on, without those that frame its body. */
export function requestHeaders(received: RawHeaders, rule: RuleHeaders, isPathJudged: boolean): string[] {
  const dropped = inConnection(received);
  const kept = pairsWhere(received, (name) => {
    if (hopByHop.has(name) || framing.has(name) || dropped.has(name) || rule.names.has(name)) return false;
    // A body that is not compressed can be searched for values that come back.
    if (name === 'accept-encoding' && rule.secrets.length > 0) return false;
    return !(isPathJudged && overrides.has(name));
  });
  return [...kept, ...rule.headers];
}

/** The headers of an answer that goes back, without values that the rule has added to the request. */
export function answerHeaders(received: RawHeaders, rule: RuleHeaders): string[] {
  const dropped = inConnection(received);
  const isChunked = headerValues(received, 'transfer-encoding').length > 0;
  const kept = pairsWhere(received, (name) => {
    if (hopByHop.has(name) || dropped.has(name)) return false;
    return !(isChunked && name === 'content-length');
  });
  return rule.secrets.length === 0 ? kept : kept.map((text) => maskText(text, rule));
}

/** Trailers without fields that would change the meaning of a message, and without those that the rule sets. */
export function safeTrailers(received: RawHeaders, rule: RuleHeaders): string[] {
  const kept = pairsWhere(
    received,
    (name) =>
      !name.startsWith(':') &&
      !hopByHop.has(name) &&
      !framing.has(name) &&
      !rule.names.has(name) &&
      name !== 'set-cookie',
  );
  return kept.map((text) => maskText(text, rule));
}

/** Replaces values that the rule has added by as many asterisks. */
export function maskText(text: string, { secrets }: RuleHeaders): string {
  // The longest first: one may begin with another, and its rest would stay readable.
  const values = secrets.map((secret) => secret.reveal()).toSorted((one, other) => other.length - one.length);
  return values.reduce((masked, value) => masked.replaceAll(value, '*'.repeat(value.length)), text);
}

/** All values of a header. `name` is in lower case. */
export function headerValues(headers: RawHeaders, name: string): string[] {
  return headers.filter((_, index) => index % 2 === 1 && headers[index - 1]?.toLowerCase() === name);
}

export function pairsOf(flat: RawHeaders): [name: string, value: string][] {
  const pairs: [string, string][] = [];
  for (let index = 0; index < flat.length; index += 2) pairs.push([flat[index] ?? '', flat[index + 1] ?? '']);
  return pairs;
}

function pairsWhere(headers: RawHeaders, isKept: (lowerName: string) => boolean): string[] {
  return pairsOf(headers).flatMap((pair) => (isKept(pair[0].toLowerCase()) ? pair : []));
}

function inConnection(headers: RawHeaders): Set<string> {
  const tokens = headerValues(headers, 'connection').flatMap((value) => value.split(','));
  return new Set(tokens.map((token) => token.trim().toLowerCase()));
}
