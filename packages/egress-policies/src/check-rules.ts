import { SoulBoxError } from '@soulbox/base';
import { hostPatternText, parseHostPattern } from './host-patterns.ts';
import { findPlaceholder, parseTemplate } from './placeholders.ts';

/** E2B's limits. Lengths are in characters. */
export const ruleLimits = { hosts: 10, headers: 20, name: 64, value: 2048 } as const;
/** Ours, for what E2B does not have. */
const requestLimits = { entries: 50, methods: 20, paths: 100, path: 1024, wildcards: 8 } as const;
export const identityTokensMax = 5;
const audienceMax = 512;

/** HostRule of spec/runner. */
export interface RuleToCheck {
  readonly headers: Readonly<Record<string, string>>;
  readonly requests: readonly { readonly methods: readonly string[]; readonly paths: readonly string[] }[];
}

/** IdentityToken of spec/runner, by name. */
export type TokensToCheck = Readonly<Record<string, { readonly audience: string; readonly tokenType: string }>>;

/**
 * Headers that frame a message or belong to one connection: a rule that sets them could make two readers see two
 * different requests.
 */
const forbiddenHeaders: ReadonlySet<string> = new Set([
  ...['connection', 'content-length', 'expect', 'host', 'http2-settings', 'keep-alive', 'proxy-authorization'],
  ...['proxy-connection', 'te', 'trailer', 'transfer-encoding', 'upgrade', 'sec-websocket-accept'],
  ...['sec-websocket-extensions', 'sec-websocket-key', 'sec-websocket-protocol', 'sec-websocket-version'],
]);

/**
 * Checks the rules of a policy. Throws `bad_request` naming the entry that is wrong: too many of them, a host, header or
 * placeholder that is none, a header that a rule must not set, or a token that is not declared.
 */
export function checkRules(rules: Readonly<Record<string, RuleToCheck>>, tokens: TokensToCheck): void {
  const hosts = Object.entries(rules);
  if (hosts.length > ruleLimits.hosts)
    throw wrong(`rules has ${hosts.length} hosts; at most ${ruleLimits.hosts} are possible`);
  const seen = new Set<string>();
  for (const [host, rule] of hosts) {
    const pattern = parseHostPattern(host);
    if (pattern === undefined)
      throw wrong(`rules contains ${shown(host)}, which is neither a host name nor "*.domain"`);
    const key = hostPatternText(pattern);
    if (seen.has(key)) throw wrong(`rules contains ${shown(key)} twice`);
    seen.add(key);
    checkHeaders(host, rule.headers, tokens);
    checkRequests(host, rule.requests);
  }
}

/** Throws `bad_request` for too many tokens, a name or an audience that is none, and another type than `JWT-SVID`. */
export function checkIdentityTokens(tokens: TokensToCheck): void {
  const entries = Object.entries(tokens);
  if (entries.length > identityTokensMax)
    throw wrong(`iam.tokens has ${entries.length} entries; at most ${identityTokensMax} are possible`);
  for (const [name, { audience, tokenType }] of entries) {
    if (findPlaceholder(`e2b.identity.tokens.${name}`) === undefined)
      throw wrong(`iam.tokens contains ${shown(name)}, which may only have letters, digits, "_" and "-"`);
    if (tokenType !== 'JWT-SVID')
      throw wrong(`iam.tokens.${name} has the type ${shown(tokenType)}; only "JWT-SVID" is possible`);
    if (audience === '' || audience.length > audienceMax || !/^[\x21-\x7e]+$/.test(audience))
      throw wrong(`iam.tokens.${name} needs an audience of 1 to ${audienceMax} visible ASCII characters`);
  }
}

function checkHeaders(host: string, headers: RuleToCheck['headers'], tokens: TokensToCheck): void {
  const entries = Object.entries(headers);
  if (entries.length > ruleLimits.headers)
    throw wrong(`the rule for ${host} has ${entries.length} headers; at most ${ruleLimits.headers} are possible`);
  const seen = new Set<string>();
  for (const [name, value] of entries) {
    const lower = name.toLowerCase();
    // RFC 9110, section 5.6.2: token. Node refuses others, too.
    if (!/^[!#$%&'*+.^_`|~0-9a-zA-Z-]+$/.test(name) || name.length > ruleLimits.name)
      throw wrong(
        `the rule for ${host} has a header ${shown(name)}, which is no name of at most ${ruleLimits.name} characters`,
      );
    if (forbiddenHeaders.has(lower))
      throw wrong(`the rule for ${host} sets ${shown(name)}, which belongs to the connection`);
    if (seen.has(lower)) throw wrong(`the rule for ${host} sets ${shown(name)} twice`);
    seen.add(lower);
    if (value.length > ruleLimits.value || !isHeaderValue(value))
      throw wrong(`the rule for ${host} sets ${shown(name)} to a value that is too long or has control characters`);
    checkPlaceholders(host, value, tokens);
  }
}

function checkPlaceholders(host: string, value: string, tokens: TokensToCheck): void {
  for (const part of parseTemplate(value)) {
    if (part.kind === 'text') continue;
    const placeholder = findPlaceholder(part.name);
    if (placeholder === undefined)
      throw wrong(`the rule for ${host} has the placeholder ${shown(part.name)}, which names nothing`);
    if (placeholder.kind === 'identity' && !Object.hasOwn(tokens, placeholder.name))
      throw wrong(`the rule for ${host} names the token ${shown(placeholder.name)}, which iam.tokens does not declare`);
  }
}

function checkRequests(host: string, requests: RuleToCheck['requests']): void {
  const where = `the rule for ${host}`;
  if (requests.length > requestLimits.entries)
    throw wrong(`${where} has ${requests.length} requests; at most ${requestLimits.entries} are possible`);
  for (const { methods, paths } of requests) {
    if (methods.length > requestLimits.methods || paths.length > requestLimits.paths)
      throw wrong(
        `${where} has an entry with more than ${requestLimits.methods} methods or ${requestLimits.paths} paths`,
      );
    const method = methods.find((one) => !/^[A-Z][A-Z-]{0,31}$/.test(one));
    if (method !== undefined) throw wrong(`${where} has the method ${shown(method)}; methods are upper-case letters`);
    const path = paths.find((one) => !isPattern(one));
    if (path !== undefined)
      throw wrong(`${where} has the path ${shown(path)}; a path begins with "/" or "*" and has no query`);
  }
}

function isPattern(path: string): boolean {
  return (
    path.length <= requestLimits.path &&
    /^[/*][\x21-\x22\x24-\x3e\x40-\x7e]*$/.test(path) &&
    path.split('*').length <= requestLimits.wildcards + 1
  );
}

/** RFC 9110, section 5.5, without characters above ASCII, which programs read in different ways. */
export function isHeaderValue(value: string): boolean {
  return /^(?:[\x21-\x7e](?:[\t\x20-\x7e]*[\x21-\x7e])?)?$/.test(value);
}

const wrong = (what: string): SoulBoxError => new SoulBoxError('bad_request', `The network policy is wrong: ${what}.`);
const shown = (text: string): string => JSON.stringify(text.slice(0, 100));
