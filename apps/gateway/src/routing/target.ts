import { headers as names, parseSandboxId } from '@soulbox/contract';
import { findHeader, headerValues } from '../exchange/exchange.ts';
import type { Exchange } from '../exchange/exchange.ts';
import { parseHost, parsePort } from './host.ts';

/**
 * The host name of the request, as a browser sees the origin of the answer: `own` belongs to the tenant's code alone,
 * `shared` is that of the API and of all tenants.
 */
type Origin = 'own' | 'shared';

/** The destination of a request. `path` is its target in origin form with the query, or `*`. */
export type Target =
  | {
      readonly kind: 'sandbox';
      readonly sandboxId: string;
      readonly port: number;
      readonly path: string;
      readonly origin: Origin;
    }
  | { readonly kind: 'function'; readonly name: string; readonly path: string; readonly origin: Origin }
  /**
   * No sandbox is named. The destination is the API, or the sandbox of a token in the request or of a signature in the
   * URL.
   */
  | { readonly kind: 'shared'; readonly path: string }
  | { readonly kind: 'api'; readonly path: string }
  | { readonly kind: 'refused'; readonly message: string };

type Request = Pick<Exchange, 'authority' | 'headers' | 'method' | 'target'>;

/**
 * Reads the target from the host name, then from the two routing headers. docs/decisions/006-gateway.md has the order
 * and the differences from E2B's.
 */
export function parseTarget(request: Request, domain: string): Target {
  if (headerValues(request.headers, 'host').length > 1) return refused('The request has more than one Host header.');
  const authority = request.authority ?? '';
  const host = authority === '' ? '' : parseHost(authority);
  if (host === undefined) return refused('The Host header is not a host name or an address.');
  const path = originForm(request, authority);
  if (path === undefined)
    return refused('The request target must be a path, or a URL with the host of the Host header.');

  if (host === `api.${domain}`) return findFunctionPath(path) ?? { kind: 'api', path };
  const label = host.split('.', 1)[0] ?? '';
  const name = functionLabel.exec(label)?.[1];
  if (name !== undefined && host === `${label}.${domain}`) return { kind: 'function', name, path, origin: 'own' };
  if (/^[0-9]+-/.test(label)) return sandboxTarget(label, path, 'own');
  const sandboxId = findHeader(request.headers, names.sandboxId);
  const port = findHeader(request.headers, names.sandboxPort);
  if (sandboxId === undefined && port === undefined) return findFunctionPath(path) ?? { kind: 'shared', path };
  // The text is that of E2B's proxy.
  if (sandboxId === undefined || port === undefined) return refused('missing header');
  if (hasDuplicates(request)) return refused(`${names.sandboxId} and ${names.sandboxPort} must each occur once.`);
  return sandboxTarget(`${port}-${sandboxId}`, path, 'shared');
}

const functionLabel = /^fn-([a-z0-9-]{1,40})$/;
/** For machines without wildcard DNS. The function sees the part after its name as its path. */
const functionPath = /^\/functions-http\/([a-z0-9-]{1,40})(?=[/?]|$)(.*)$/;

function findFunctionPath(path: string): Target | undefined {
  const [, name, rest = ''] = functionPath.exec(path) ?? [];
  if (name === undefined) return undefined;
  return { kind: 'function', name, path: rest.startsWith('/') ? rest : `/${rest}`, origin: 'shared' };
}

/** Parses `<port>-<id>`. The old form `<port>-<id>-<client>` is accepted, as in the API. */
function sandboxTarget(label: string, path: string, origin: Origin): Target {
  const dash = label.indexOf('-');
  const port = parsePort(label.slice(0, dash));
  if (port === undefined) return refused('The port of the sandbox must be a number from 1 to 65535.');
  const sandboxId = parseSandboxId(label.slice(dash + 1));
  if (sandboxId === undefined) return refused('The id of the sandbox must consist of a-z and 0-9.');
  return { kind: 'sandbox', sandboxId, port, path, origin };
}

function hasDuplicates(request: Request): boolean {
  return [names.sandboxId, names.sandboxPort].some((name) => headerValues(request.headers, name).length > 1);
}

/** The target as `/path?query`. An absolute one must name the same host as the Host header. */
export function originForm(request: Pick<Exchange, 'method' | 'target'>, authority: string): string | undefined {
  const { target } = request;
  if (target.startsWith('/')) return target;
  if (target === '*') return request.method === 'OPTIONS' ? target : undefined;
  const absolute = /^https?:\/\/([^/?#]*)([^#]*)$/i.exec(target);
  if (absolute === null || absolute[1]?.toLowerCase() !== authority.toLowerCase()) return undefined;
  const rest = absolute[2] ?? '';
  return rest.startsWith('/') ? rest : `/${rest}`;
}

function refused(message: string): Target {
  return { kind: 'refused', message };
}
