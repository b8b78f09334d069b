import { SoulBoxError } from '@soulbox/base';
import { parseSandboxId } from '@soulbox/contract';
import { canonicalHost, canonicalPath, findPortPath, parseQuery } from '@soulbox/contract/signed-url';
import type { SignedUrlCheck } from '@soulbox/contract/signed-url-service';

/** A URL to sign. */
export interface ParsedUrl {
  /** What stands before the signed path: scheme, host as given, and the path of the configured address of the API. */
  readonly base: string;
  readonly host: string;
  readonly path: string;
  readonly own: readonly (readonly [name: string, value: string])[];
  /** Undefined for a route of the API. */
  readonly destination: SignedUrlCheck['destination'] | undefined;
  /** The path that the destination sees. */
  readonly servicePath: string;
}

const urlForm = /^(https?:\/\/([^/?#]+))(\/[^?#]*)?(?:\?([^#]*))?$/i;

/**
 * Parses an absolute URL, or a path at the address of the API. The target is read as the gateway reads it. Throws
 * `bad_request`.
 */
export function parseUrl(text: string, apiUrl: string): ParsedUrl {
  const url = text.startsWith('/') ? apiUrl + text : text;
  const [, origin = '', authority = '', wholePath = '/', query = ''] = urlForm.exec(url) ?? [];
  const host = canonicalHost(authority);
  if (host === undefined) throw refused('is not an http or https URL with a host and without a fragment');
  // A proxy removes the path of the address.
  const [, , apiAuthority = '', apiPath = ''] = urlForm.exec(apiUrl) ?? [];
  const removed = canonicalHost(apiAuthority) === host ? apiPath.replace(/\/+$/, '') : '';
  if (removed !== '' && !wholePath.startsWith(`${removed}/`)) throw refused(`must begin with ${apiUrl}`);
  const canonical = canonicalPath(wholePath.slice(removed.length));
  if ('fault' in canonical) throw refused(`has a path that ${canonical.fault}`);
  const own = parseQuery(query);
  if (own === undefined) throw refused('has a query that is not valid');
  if (own.some(([name]) => name.toLowerCase().startsWith('soulbox-'))) throw refused('is already signed');
  return { base: origin + removed, host, path: canonical.path, own, ...findDestination(host, canonical.path) };
}

function refused(fault: string): SoulBoxError {
  return new SoulBoxError('bad_request', `The URL to sign ${fault}.`);
}

function findDestination(host: string, path: string): Pick<ParsedUrl, 'destination' | 'servicePath'> {
  const [label = ''] = host.split('.', 1);
  const [, port, id = ''] = /^([1-9]\d{0,4})-(.+)$/.exec(label) ?? [];
  const sandboxId = parseSandboxId(id);
  if (port !== undefined && sandboxId !== undefined)
    return { destination: { kind: 'sandbox', sandboxId, port: Number(port) }, servicePath: path };
  const ownHost = /^fn-([a-z0-9-]{1,40})$/.exec(label)?.[1];
  if (ownHost !== undefined) return { destination: { kind: 'function', name: ownHost }, servicePath: path };
  const inPath = findPortPath(path);
  if (inPath !== undefined) {
    const { sandboxId: named, port: itsPort, path: rest } = inPath;
    return { destination: { kind: 'sandbox', sandboxId: named, port: itsPort }, servicePath: rest };
  }
  const [, name, rest = ''] = /^\/functions-http\/([a-z0-9-]{1,40})(\/.*)?$/.exec(path) ?? [];
  if (name !== undefined) return { destination: { kind: 'function', name }, servicePath: rest };
  return { destination: undefined, servicePath: path };
}
