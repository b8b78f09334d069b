import { envdPort, headers as names } from '@soulbox/contract';
import { findPortPath, parseSignedRequest } from '@soulbox/contract/signed-url';
import type { Grant, SignedRequest } from '@soulbox/contract/signed-url';
import { findHeader } from '../exchange/exchange.ts';
import type { Exchange } from '../exchange/exchange.ts';
import { originForm, parseTarget } from './target.ts';
import type { Target } from './target.ts';

/** The signature of a request for code of a tenant. Nobody has checked it yet. */
export interface UncheckedSignature {
  readonly grant: Grant;
  /** The method that was signed. For a preflight, the one that the browser intends to use. */
  readonly method: string;
  readonly isPreflight: boolean;
  /** Path and query as received. */
  readonly received: string;
}

/** A target whose path contains nothing of the signature. Without a signature the request is a usual one. */
export interface ReadTarget {
  readonly target: Target;
  readonly signature?: UncheckedSignature;
}

type Request = Pick<Exchange, 'authority' | 'headers' | 'method' | 'target' | 'upgrade'>;

/**
 * Reads the target of a request that may have a signed URL (docs/signed-urls.md). A signed request for the API is passed
 * on unchanged, because the API checks it.
 */
export function readTarget(request: Request, domain: string): ReadTarget {
  const received = originForm(request, request.authority ?? '');
  if (received === undefined || !received.includes('?')) return { target: parseTarget(request, domain) };
  const { method, isPreflight } = signedMethod(request);
  const parsed = parseSignedRequest({ method, authority: request.authority ?? '', target: received });
  if (parsed.kind === 'unsigned') return { target: parseTarget(request, domain) };
  if (parsed.kind === 'refused') return refused(parsed.message);
  if ([names.sandboxId, names.sandboxPort].some((name) => findHeader(request.headers, name) !== undefined))
    return refused('A signed URL names its destination itself, so the routing headers must be absent.');
  const target = findTarget(request, parsed.request, domain);
  if (target.kind === 'refused') return { target };
  if (target.kind === 'api' || target.kind === 'shared') return { target: { kind: 'api', path: received } };
  if (target.kind === 'sandbox' && hasToken(request, target.port))
    return refused('A request must not have both a signed URL and a token of the sandbox.');
  return { target, signature: { grant: parsed.request.grant, method, isPreflight, received } };
}

const refused = (message: string): ReadTarget => ({ target: { kind: 'refused', message } });

function findTarget(request: Request, signed: SignedRequest, domain: string): Target {
  const target = parseTarget({ ...factsOf(request), target: signed.target }, domain);
  if (target.kind !== 'api' && target.kind !== 'shared') return target;
  const port = findPortPath(target.path);
  return port === undefined ? target : { kind: 'sandbox', ...port, origin: 'shared' };
}

const factsOf = ({ authority, headers, method }: Request): Pick<Request, 'authority' | 'headers' | 'method'> => ({
  authority,
  headers,
  method,
});

function hasToken({ headers }: Request, port: number): boolean {
  return findHeader(headers, port === envdPort ? names.accessToken : names.trafficAccessToken) !== undefined;
}

/** HTTP/2 opens a WebSocket with CONNECT (RFC 8441), where HTTP/1.1 uses GET. */
function signedMethod({ method, upgrade, headers }: Request): { method: string; isPreflight: boolean } {
  const intended = method === 'OPTIONS' ? findHeader(headers, 'access-control-request-method') : undefined;
  if (intended !== undefined) return { method: intended, isPreflight: true };
  return { method: method === 'CONNECT' && upgrade !== undefined ? 'GET' : method, isPreflight: false };
}
