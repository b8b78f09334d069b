import { constants } from 'node:http2';
import type { IncomingHttpHeaders, OutgoingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import type { Duplex, Writable } from 'node:stream';
import { TLSSocket } from 'node:tls';
import type { ClientReader } from './client.ts';
import type { Exchange, RawHeaders } from './exchange.ts';
import { lingeringCloseMs } from './lingering-close.ts';

const { NGHTTP2_INTERNAL_ERROR, NGHTTP2_NO_ERROR } = constants;

/** The exchange of an HTTP/2 stream. `rawHeaders` is the fourth argument of the `stream` event. */
export function exchangeFromStream(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  { rawHeaders, clientOf }: { rawHeaders: RawHeaders; clientOf: ClientReader },
): Exchange {
  const closeListeners: (() => void)[] = [];
  let closed = false;
  let trailers: RawHeaders = [];
  let bodyTrailers: RawHeaders = [];
  let status = 0;
  stream.on('error', () => undefined);
  stream.on('close', () => {
    closed = true;
    for (const listener of closeListeners) listener();
  });
  stream.on('trailers', (_headers: IncomingHttpHeaders, _flags: number, raw: string[]) => {
    bodyTrailers = raw;
  });
  stream.on('wantTrailers', () => {
    try {
      stream.sendTrailers(headersToObject(trailers));
    } catch {
      // Node rejected a trailer from the sandbox.
      stream.close(NGHTTP2_INTERNAL_ERROR);
    }
  });
  stream.on('finish', () => lingerAfterAnswer(stream));
  const socket = stream.session?.socket;
  return {
    method: headers[':method'] ?? '',
    target: headers[':path'] ?? '',
    authority: authorityOf(headers),
    headers: regularHeaders(rawHeaders),
    protocol: 'http/2',
    ...clientOf({ remoteAddress: socket?.remoteAddress ?? '', secure: socket instanceof TLSSocket }, rawHeaders),
    remotePort: socket?.remotePort ?? 0,
    body: stream,
    bodyTrailers: () => bodyTrailers,
    hasBody: !stream.endAfterHeaders,
    expectsContinue: headers.expect === '100-continue',
    // RFC 8441: an extended CONNECT names the protocol of the tunnel.
    upgrade: headers[':method'] === 'CONNECT' ? headers[':protocol']?.toString() : undefined,
    get headSent() {
      return stream.headersSent;
    },
    get status() {
      return status;
    },
    get closed() {
      return closed;
    },
    sendContinue: () => sendInterim(stream, { ':status': 100 }),
    sendEarlyHints: (links) => {
      if (links.length > 0) sendInterim(stream, { ':status': 103, link: [...links] });
    },
    sendHead(answerStatus: number, _statusText: string, answer: RawHeaders): Writable {
      stream.respond({ ...headersToObject(answer), ':status': answerStatus }, { waitForTrailers: true });
      status = answerStatus;
      return stream;
    },
    setTrailers(headersOfEnd: RawHeaders): void {
      trailers = headersOfEnd;
    },
    acceptUpgrade(answer: RawHeaders): Duplex {
      stream.respond({ ...headersToObject(answer), ':status': 200 });
      status = 200;
      return stream;
    },
    reset: () => {
      // Not CANCEL: Node's and undici's clients treat that as an end without an error.
      if (!stream.destroyed) stream.close(NGHTTP2_INTERNAL_ERROR);
    },
    onClose(listener: () => void): void {
      if (closed) listener();
      else closeListeners.push(listener);
    },
  };
}

/** `:authority`, otherwise Host. Two different values are joined with a comma, which no host name parser accepts. */
function authorityOf(headers: IncomingHttpHeaders): string | undefined {
  const authority = headers[':authority'];
  const { host } = headers;
  if (authority !== undefined && host !== undefined && authority !== host) return `${authority},${host}`;
  return authority ?? host;
}

/** Without pseudo-headers. The parts of Cookie are joined to one header again (RFC 9113, section 8.2.3). */
function regularHeaders(rawHeaders: RawHeaders): RawHeaders {
  const headers: string[] = [];
  const cookies: string[] = [];
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] ?? '';
    const value = rawHeaders[index + 1] ?? '';
    if (name === 'cookie') cookies.push(value);
    else if (!name.startsWith(':')) headers.push(name, value);
  }
  if (cookies.length > 0) headers.push('cookie', cookies.join('; '));
  return headers;
}

/**
 * Converts headers to the object that Node needs. Duplicates become an array, except for fields that may occur only
 * once.
 */
function headersToObject(headers: RawHeaders): Record<string, string | string[]> {
  const object: Record<string, string | string[]> = Object.create(null) as Record<string, string | string[]>;
  for (let index = 0; index < headers.length; index += 2) {
    const name = (headers[index] ?? '').toLowerCase();
    const value = headers[index + 1] ?? '';
    const present = object[name];
    if (present === undefined) object[name] = value;
    else if (!singleValued.has(name)) object[name] = [...(Array.isArray(present) ? present : [present]), value];
  }
  return object;
}

/** Node throws on a second value of these headers (its HTTP/2 documentation, ERR_HTTP2_HEADER_SINGLE_VALUE). */
const singleValued: ReadonlySet<string> = new Set([
  'access-control-allow-credentials',
  'access-control-max-age',
  'access-control-request-method',
  'age',
  'authorization',
  'content-encoding',
  'content-language',
  'content-length',
  'content-location',
  'content-md5',
  'content-range',
  'content-type',
  'date',
  'dnt',
  'etag',
  'expires',
  'from',
  'host',
  'if-match',
  'if-modified-since',
  'if-none-match',
  'if-range',
  'if-unmodified-since',
  'last-modified',
  'location',
  'max-forwards',
  'proxy-authorization',
  'range',
  'referer',
  'retry-after',
  'tk',
  'upgrade-insecure-requests',
  'user-agent',
  'x-content-type-options',
]);

function sendInterim(stream: ServerHttp2Stream, headers: OutgoingHttpHeaders): void {
  if (stream.destroyed || stream.headersSent) return;
  try {
    stream.additionalHeaders(headers);
  } catch {
    // Node rejected a value from the sandbox. Interim answers are optional.
  }
}

/** The answer is complete, but the client may still send. Read a little longer, then tell it to stop. */
function lingerAfterAnswer(stream: ServerHttp2Stream): void {
  if (stream.destroyed || stream.readableEnded) return;
  stream.removeAllListeners('data').resume();
  const timer = setTimeout(() => stream.close(NGHTTP2_NO_ERROR), lingeringCloseMs);
  stream.once('close', () => clearTimeout(timer));
}
