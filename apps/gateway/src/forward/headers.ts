import { headers as names } from '@soulbox/contract';
import { findHeader, headerValues } from '../exchange/exchange.ts';
import type { Exchange, RawHeaders } from '../exchange/exchange.ts';

/** Headers for one hop only (RFC 9110, section 7.6.1), or for HTTP/1.1 framing, which each hop does by itself. */
const hopByHop: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'proxy-authorization',
  'transfer-encoding',
  'te',
  'upgrade',
  'http2-settings',
]);

/** Headers that are for the gateway or that it sets itself. They are never passed on from the client. */
const ours: ReadonlySet<string> = new Set([
  'host',
  'content-length',
  'expect',
  'forwarded',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-proto',
  'x-forwarded-port',
  'x-real-ip',
  names.sandboxId,
  names.sandboxPort,
  names.trafficAccessToken,
]);

/** Headers with this prefix are for SoulBox's own processes, except those that `keep` allows. */
const internalPrefix = 'x-soulbox-';

export interface RequestHeaderOptions {
  /** The Host header to send instead of the client's. */
  readonly host?: string | undefined;
  /** Whether to add X-Forwarded-For, -Proto and -Host. */
  readonly forwarded: boolean;
  /** Additional names to omit, in lower case. */
  readonly omit?: readonly string[];
  /** Names with the internal prefix that a client may send to this next hop, in lower case. */
  readonly keep?: readonly string[];
}

/** The headers of the request to the next hop, except those that frame its body. */
export function forwardedHeaders(exchange: Exchange, options: RequestHeaderOptions): string[] {
  const dropped = new Set([...namesInConnection(exchange.headers), ...(options.omit ?? [])]);
  const host = options.host ?? exchange.authority ?? '';
  const result: string[] = ['Host', host];
  forEachHeader(exchange.headers, (name, value, lowerName) => {
    if (hopByHop.has(lowerName) || ours.has(lowerName) || dropped.has(lowerName)) return;
    if (lowerName.startsWith(internalPrefix) && options.keep?.includes(lowerName) !== true) return;
    result.push(name, value);
  });
  if (options.forwarded) {
    result.push('X-Forwarded-For', exchange.remoteAddress);
    result.push('X-Forwarded-Proto', exchange.secure ? 'https' : 'http');
    result.push('X-Forwarded-Host', exchange.authority ?? '');
  }
  return result;
}

/** For these methods, no length means no body. For any other, Node would send an empty chunked body. */
const withoutLength: ReadonlySet<string> = new Set(['GET', 'HEAD', 'DELETE', 'OPTIONS', 'TRACE', 'CONNECT']);

/** Describes the length of the body in exactly one way: never both by a length and by chunks. */
export function framingHeaders(exchange: Exchange): string[] {
  const result = exchange.expectsContinue ? ['Expect', '100-continue'] : [];
  const length = findHeader(exchange.headers, 'content-length');
  const chunked = findHeader(exchange.headers, 'transfer-encoding') !== undefined;
  if (exchange.hasBody) {
    if (chunked || length === undefined) result.push('Transfer-Encoding', 'chunked');
    else result.push('Content-Length', length);
  } else if (length !== undefined || !withoutLength.has(exchange.method)) {
    result.push('Content-Length', '0');
  }
  return result;
}

/**
 * Returns why the framing of the body cannot be forwarded safely, or undefined if it can. Node's parser is already
 * strict.
 */
export function findFramingFault(exchange: Exchange): string | undefined {
  const lengths = headerValues(exchange.headers, 'content-length');
  const codings = headerValues(exchange.headers, 'transfer-encoding');
  if (lengths.length > 1) return 'The request has more than one Content-Length header.';
  if (codings.length > 1 || (codings.length === 1 && codings[0]?.trim().toLowerCase() !== 'chunked'))
    return 'The only supported Transfer-Encoding is chunked.';
  if (lengths.length > 0 && codings.length > 0)
    return 'A request must not have both Content-Length and Transfer-Encoding.';
  return undefined;
}

/** Whether no client may see this header of an answer. The reason of an error is for clients. */
function isInternal(lowerName: string): boolean {
  return lowerName.startsWith(internalPrefix) && lowerName !== names.reason;
}

/** The headers of an answer that the client may see. */
export function answerHeaders(headers: RawHeaders): string[] {
  const dropped = namesInConnection(headers);
  // A chunked answer has no length, whatever else its head claims.
  const chunked = findHeader(headers, 'transfer-encoding') !== undefined;
  const result: string[] = [];
  forEachHeader(headers, (name, value, lowerName) => {
    if (hopByHop.has(lowerName) || dropped.has(lowerName) || isInternal(lowerName)) return;
    if (chunked && lowerName === 'content-length') return;
    result.push(name, value);
  });
  return result;
}

const notInTrailers: ReadonlySet<string> = new Set(['content-length', 'host', 'trailer', 'set-cookie']);

/** Trailers without fields that would change the meaning of a message that was already read. */
export function safeTrailers(trailers: RawHeaders): string[] {
  const result: string[] = [];
  forEachHeader(trailers, (name, value, lowerName) => {
    if (lowerName.startsWith(':') || isInternal(lowerName)) return;
    if (!hopByHop.has(lowerName) && !notInTrailers.has(lowerName)) result.push(name, value);
  });
  return result;
}

function namesInConnection(headers: RawHeaders): Set<string> {
  const tokens = headerValues(headers, 'connection').flatMap((value) => value.split(','));
  return new Set(tokens.map((token) => token.trim().toLowerCase()));
}

function forEachHeader(headers: RawHeaders, use: (name: string, value: string, lowerName: string) => void): void {
  for (let index = 0; index < headers.length; index += 2) {
    const name = headers[index] ?? '';
    use(name, headers[index + 1] ?? '', name.toLowerCase());
  }
}
