import { canonicalHost } from './canonical-host.ts';
import { canonicalPath } from './canonical-path.ts';
import { isBelow } from './file-prefix.ts';
import { filePathName } from './parameters.ts';
import type { Grant } from './parameters.ts';
import { parametersOf, parseGrant } from './parse-grant.ts';
import { canonicalQuery, hasSignatureParameter, parseQuery, writeQuery } from './query.ts';
import type { Parameter } from './query.ts';

/** Characters of path and query together. Longer signed URLs are refused: proxies and clients limit them to this. */
export const signedTargetMax = 8192;

/** What is signed: the request itself and what it allows. */
export interface SignedParts {
  /** In upper case. HEAD counts as GET. */
  readonly method: string;
  /** In canonical form. */
  readonly host: string;
  /** In canonical form. */
  readonly path: string;
  /** The parameters of the request itself, in the order sent. */
  readonly own: readonly Parameter[];
  readonly grant: Grant;
}

/** A request with a signature that nobody has checked yet. */
export interface SignedRequest extends SignedParts {
  readonly signature: string;
  /** Path and query in canonical encoding, without the parameters of the signature: what the next hop receives. */
  readonly target: string;
}

export type ParsedRequest =
  | { readonly kind: 'unsigned' }
  | { readonly kind: 'refused'; readonly message: string }
  | { readonly kind: 'signed'; readonly request: SignedRequest };

/**
 * Parses a request that may be signed. `target` is path and query as received. Every request that could be read in two
 * ways is refused.
 */
export function parseSignedRequest(received: {
  readonly method: string;
  readonly authority: string;
  readonly target: string;
}): ParsedRequest {
  const at = received.target.indexOf('?');
  if (at < 0 || !hasSignatureParameter(received.target.slice(at + 1))) return { kind: 'unsigned' };
  if (received.target.length > signedTargetMax) return refused(`is longer than ${signedTargetMax} characters`);
  if (received.target.includes('#')) return refused('has a fragment');
  const host = canonicalHost(received.authority);
  if (host === undefined) return refused('has no valid host');
  const canonical = canonicalPath(received.target.slice(0, at));
  if ('fault' in canonical) return refused(`has a path that ${canonical.fault}`);
  const parameters = parseQuery(received.target.slice(at + 1));
  if (parameters === undefined) return refused('has a query that is not valid');
  const parsed = parseGrant(parameters);
  if ('fault' in parsed) return refused(parsed.fault);
  const { path } = canonical;
  const { grant, own, signature } = parsed;
  const fault = findPrefixFault(path, own, grant);
  if (fault !== undefined) return refused(fault);
  const query = own.length === 0 ? '' : `?${writeQuery(own)}`;
  const method = received.method === 'HEAD' ? 'GET' : received.method;
  return { kind: 'signed', request: { method, host, path, own, grant, signature, target: path + query } };
}

const refused = (fault: string): ParsedRequest => ({ kind: 'refused', message: `The signed URL ${fault}.` });

function findPrefixFault(path: string, own: readonly Parameter[], { prefix, filePrefix }: Grant): string | undefined {
  if (prefix !== undefined && !path.startsWith(prefix)) return `is only valid for paths below ${prefix}`;
  if (filePrefix === undefined) return undefined;
  const files = own.filter(([name]) => name === filePathName);
  const [file] = files;
  if (files.length !== 1 || file === undefined || !isBelow(file[1], filePrefix))
    return `is only valid with one parameter "${filePathName}" for a file below ${filePrefix}`;
  return undefined;
}

/** The text that is signed (docs/signed-urls.md, "Canonical form"). */
export function canonicalForm({ method, host, path, own, grant }: SignedParts): string {
  const { prefix, filePrefix } = grant;
  const signed = filePrefix === undefined ? own : own.filter(([name]) => name !== filePathName);
  const query = canonicalQuery([...signed, ...parametersOf(grant)]);
  return ['soulbox-signed-url-v1', method, host, prefix ?? path, query].join('\n');
}
