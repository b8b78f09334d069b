import type { EgressReason } from '@soulbox/contract';
import { canonicalHost, canonicalPath } from '@soulbox/contract/signed-url';
import type { InterceptedConnection } from '../connections/interceptor.ts';
import type { HostRule } from '../policies/policed-sandbox.ts';

/** The head of a request as it was received. */
export interface RequestHead {
  readonly method: string;
  readonly target: string;
  /** All Host headers, or `:authority`. */
  readonly authorities: readonly string[];
}

/** How a request goes on, or why it does not. */
export type Judged =
  | {
      readonly isAllowed: true;
      /** Path and query in origin form, or `*`. */
      readonly target: string;
      /** Value of the Host header. */
      readonly host: string;
    }
  | {
      readonly isAllowed: false;
      readonly status: 400 | 403 | 405 | 421;
      readonly reason: EgressReason | undefined;
      readonly message: string;
    };

/**
 * Judges one request of an intercepted connection: it must go to the host for which the connection was allowed, and the
 * rule must cover its method and its path.
 */
export function judgeRequest(
  head: RequestHead,
  { name, port, scheme }: Pick<InterceptedConnection, 'name' | 'port' | 'scheme'>,
  rule: HostRule | undefined,
): Judged {
  const target = originForm(head.target, scheme);
  if (target === undefined) return refused(400, undefined, 'The request target is not valid.');
  const own = canonicalHost(`${name}:${port}`);
  const named = [...head.authorities, ...(target.authority === undefined ? [] : [target.authority])];
  if (head.authorities.length !== 1 || named.some((authority) => canonicalHost(authority) !== own))
    return refused(421, 'name_mismatch', `This connection was allowed for ${name} only.`);
  // The answer of TRACE is the request, with the values of header rules.
  if (head.method === 'CONNECT' || head.method === 'TRACE')
    return refused(405, 'request_not_allowed', `${head.method} is not possible through a rule.`);
  const fault = rule === undefined ? undefined : faultOf(rule, head.method, target.path);
  if (fault !== undefined) return refused(403, 'request_not_allowed', fault);
  return {
    isAllowed: true,
    target: target.path,
    host: port === (scheme === 'https' ? 443 : 80) ? name : `${name}:${port}`,
  };
}

function refused(status: 400 | 403 | 405 | 421, reason: EgressReason | undefined, message: string): Judged {
  return { isAllowed: false, status, reason, message };
}

function originForm(
  target: string,
  scheme: string,
): { readonly path: string; readonly authority: string | undefined } | undefined {
  if (target === '*' || target.startsWith('/')) return { path: target, authority: undefined };
  const [, itsScheme = '', authority, path = ''] = /^(https?):\/\/([^/?#]*)([^#]*)$/i.exec(target) ?? [];
  if (itsScheme.toLowerCase() !== scheme) return undefined;
  return { path: path.startsWith('/') ? path : `/${path}`, authority };
}

/** Undefined: the rule covers the request. */
function faultOf({ text, requests }: HostRule, method: string, target: string): string | undefined {
  if (requests.length === 0) return undefined;
  const canonical = canonicalPath(pathOf(target));
  if ('fault' in canonical) return `The path ${canonical.fault}, so the rule for ${text} cannot judge it.`;
  const covers = requests.some(
    ({ methods, paths }) =>
      (methods.length === 0 || methods.includes(method)) &&
      (paths.length === 0 || paths.some((pattern) => matches(pattern, canonical.path))),
  );
  return covers ? undefined : `The rule for ${text} does not allow ${method} ${canonical.path.slice(0, 200)}.`;
}

/** Without the query. */
export function pathOf(target: string): string {
  const end = target.indexOf('?');
  return end < 0 ? target : target.slice(0, end);
}

/** `*` stands for any characters. Takes linear time for each `*`, without a regular expression. */
export function matches(pattern: string, path: string): boolean {
  const [first = '', ...others] = pattern.split('*');
  if (others.length === 0) return pattern === path;
  const last = others.pop() ?? '';
  if (!path.startsWith(first) || path.length < first.length + last.length || !path.endsWith(last)) return false;
  let at = first.length;
  const end = path.length - last.length;
  for (const part of others) {
    const found = path.indexOf(part, at);
    if (found < 0 || found + part.length > end) return false;
    at = found + part.length;
  }
  return true;
}
