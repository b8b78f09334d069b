import { normalizeName } from '@soulbox/network/policy';

/** Maximum bytes of the request line and headers of one HTTP/1 request. */
export const headMaxBytes = 32 * 1024;

/** How the bytes after a request head belong to it. */
export type Framing = { readonly kind: 'length'; readonly bytes: number } | { readonly kind: 'chunked' };

export type ParsedHead =
  | { readonly state: 'incomplete' }
  /** Not a request, or one that two programs could read differently. */
  | { readonly state: 'bad' }
  | {
      readonly state: 'complete';
      /** Bytes up to the body. */
      readonly headBytes: number;
      readonly method: string;
      /** Undefined if Host is missing, empty or an address. */
      readonly name: string | undefined;
      readonly framing: Framing;
      /** The protocols of the header `Upgrade`, in lower case. Empty: none. */
      readonly upgrade: string;
    };

const bad: ParsedHead = { state: 'bad' };
const headEnd = Buffer.from('\r\n\r\n');

/**
 * Parses the head of an HTTP/1 request (RFC 9112). Strict, because a server behind must not see other requests than we
 * do: no bare CR or LF, no folded lines, no space before a colon, and one meaning of the length.
 */
export function parseRequestHead(bytes: Buffer): ParsedHead {
  const end = bytes.indexOf(headEnd);
  if (end < 0) return bytes.length >= headMaxBytes || hasBareLineEnd(bytes) ? bad : { state: 'incomplete' };
  if (end + headEnd.length > headMaxBytes) return bad;
  const [line = '', ...fields] = bytes.toString('latin1', 0, end).split('\r\n');
  const [, method = '', target = '', minor = ''] =
    /^([!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}) ([\x21-\x7e]+) HTTP\/1\.([01])$/.exec(line) ?? [];
  if (method === '' || method.toUpperCase() === 'CONNECT') return bad;
  const headers = new Map<string, string[]>();
  for (const field of fields) {
    const [, name, value = ''] = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t\x20-\x7e\x80-\xff]*)$/.exec(field) ?? [];
    if (name === undefined) return bad;
    const list = headers.get(name.toLowerCase()) ?? [];
    list.push(value.trimEnd());
    headers.set(name.toLowerCase(), list);
  }
  const host = hostOf(target, headers.get('host') ?? [], minor);
  const framing = framingOf(headers, minor);
  if (host === undefined || framing === undefined) return bad;
  return {
    state: 'complete',
    headBytes: end + headEnd.length,
    method,
    name: host === '' ? undefined : normalizeName(host),
    framing,
    upgrade: (headers.get('upgrade') ?? []).join(',').toLowerCase(),
  };
}

/** Without the port. Empty: none. Undefined: it is ambiguous. */
function hostOf(target: string, hosts: readonly string[], minor: string): string | undefined {
  const [value = ''] = hosts;
  if (hosts.length > 1 || (hosts.length === 0 && minor === '1')) return undefined;
  const host = withoutPort(value);
  if (host === undefined || target.startsWith('/') || target === '*') return host;
  // The absolute form. Servers use its host, others the header: so both must be the same.
  const [, authority] = /^http:\/\/([^/?#@]+)(?:[/?#]|$)/i.exec(target) ?? [];
  const named = authority === undefined ? undefined : withoutPort(authority);
  return named !== undefined && named !== '' && named.toLowerCase() === host.toLowerCase() ? host : undefined;
}

function withoutPort(value: string): string | undefined {
  return /^([A-Za-z0-9._-]*|\[[0-9A-Fa-f:.]+\])(?::[0-9]{0,5})?$/.exec(value)?.[1];
}

function framingOf(headers: ReadonlyMap<string, readonly string[]>, minor: string): Framing | undefined {
  const lengths = headers.get('content-length') ?? [];
  const codings = headers.get('transfer-encoding') ?? [];
  if (lengths.length + codings.length > 1) return undefined;
  const [coding] = codings;
  if (coding !== undefined)
    return minor === '1' && coding.toLowerCase() === 'chunked' ? { kind: 'chunked' } : undefined;
  const [length = '0'] = lengths;
  return /^[0-9]{1,15}$/.test(length) ? { kind: 'length', bytes: Number(length) } : undefined;
}

/** A line that ends otherwise than by CR LF will never be accepted; waiting for more is in vain. */
function hasBareLineEnd(bytes: Buffer): boolean {
  // Not `indexOf`: a head of short lines would cost a call for each of them, again with each packet.
  for (let at = 0; at < bytes.length; at += 1) if (bytes[at] === 10 && bytes[at - 1] !== 13) return true;
  return false;
}
