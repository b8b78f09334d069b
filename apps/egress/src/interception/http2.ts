import { connect, constants, createServer, sensitiveHeaders } from 'node:http2';
import type {
  ClientHttp2Session,
  ClientHttp2Stream,
  IncomingHttpHeaders,
  OutgoingHttpHeaders,
  ServerHttp2Session,
  ServerHttp2Stream,
} from 'node:http2';
import type { Duplex } from 'node:stream';
import { createInterimBudget } from '@soulbox/base';
import type { Admitted, Conversation, RequestEntry } from './conversation.ts';
import { isRefusal } from './conversation.ts';
import { createEchoMask } from './echo-mask.ts';
import { headMaxBytes } from './http1-server.ts';
import { answerHeaders, pairsOf, requestHeaders, safeTrailers } from './message-headers.ts';
import type { RawHeaders } from './message-headers.ts';
import { failureAnswer } from './refusal-answer.ts';
import type { RefusalAnswer } from './refusal-answer.ts';
import type { RequestHead } from './request-plan.ts';

const { HTTP2_HEADER_AUTHORITY, HTTP2_HEADER_METHOD, HTTP2_HEADER_PATH, HTTP2_HEADER_SCHEME, HTTP2_HEADER_STATUS } =
  constants;

const settings = { initialWindowSize: 512 * 1024, maxHeaderListSize: headMaxBytes, enablePush: false };
/** Also the amount that one connection can make us buffer. */
const connectionWindowBytes = 1024 * 1024;
const streamsMax = 100;
/** MiB of buffers and headers. Above that Node refuses further streams. */
const sessionMemoryMib = 32;
const headerPairsMax = 1000;

/** Forwards the requests of a connection over HTTP/2, on one connection to the host. */
export function forwardHttp2(client: Duplex, conversation: Conversation): Disposable {
  const server = createServer({
    settings: { ...settings, maxConcurrentStreams: streamsMax },
    maxHeaderListPairs: headerPairsMax,
    maxSessionMemory: sessionMemoryMib,
  });
  server.on('sessionError', () => undefined);
  server.on('session', (session: ServerHttp2Session) => {
    session.setLocalWindowSize(connectionWindowBytes);
    let upstream: Promise<ClientHttp2Session> | undefined;
    const getUpstream = (): Promise<ClientHttp2Session> => {
      upstream ??= openSession(conversation, session).catch((thrown: unknown) => {
        upstream = undefined;
        throw thrown;
      });
      return upstream;
    };
    session.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, _flags: number, raw: string[]) => {
      stream.on('error', () => undefined);
      const head = headOf(headers);
      const entry = conversation.begin(head);
      stream.once('close', () => entry.end(undefined, true));
      void forward(stream, { head, entry, raw: joinCookies(raw), conversation, getUpstream }).catch((thrown: unknown) =>
        refuse(stream, entry, failureAnswer(thrown)),
      );
    });
  });
  // In HTTP/2, a client that ends its side is gone. Node only notices that if the socket then closes.
  client.allowHalfOpen = false;
  server.emit('connection', client);
  return { [Symbol.dispose]: () => void client.destroy() };
}

interface Streamed {
  readonly head: RequestHead;
  readonly entry: RequestEntry;
  readonly raw: RawHeaders;
  readonly conversation: Conversation;
  readonly getUpstream: () => Promise<ClientHttp2Session>;
}

async function openSession(conversation: Conversation, server: ServerHttp2Session): Promise<ClientHttp2Session> {
  const { socket } = await conversation.openUpstream();
  const session = connect(`https://${conversation.connection.name}`, {
    createConnection: () => socket,
    settings,
    maxHeaderListPairs: headerPairsMax,
    maxSessionMemory: sessionMemoryMib,
  });
  session.on('error', () => undefined);
  session.once('connect', () => session.setLocalWindowSize(connectionWindowBytes));
  // The sandbox opens a new connection for its next request, and that gets a new one to the host.
  session.once('goaway', () => server.close());
  session.once('close', () => server.destroy());
  server.once('close', () => session.destroy());
  if (server.destroyed) session.destroy();
  return session;
}

function headOf(headers: IncomingHttpHeaders): RequestHead {
  const authority = headers[':authority'] ?? headers.host;
  const isTwice = headers[':authority'] !== undefined && headers.host !== undefined;
  return {
    method: headers[':method'] ?? '',
    target: headers[':path'] ?? '',
    authorities: [
      ...(authority === undefined ? [] : [authority]),
      ...(isTwice && headers.host !== authority ? [String(headers.host)] : []),
    ],
  };
}

/** RFC 9113, section 8.2.3: HTTP/2 may split cookies; a header per cookie would be several Cookie headers. */
function joinCookies(raw: RawHeaders): string[] {
  const pairs = pairsOf(raw).filter(([name]) => !name.startsWith(':'));
  const cookies = pairs.filter(([name]) => name === 'cookie').map(([, value]) => value);
  const others = pairs.filter(([name]) => name !== 'cookie').flat();
  return cookies.length === 0 ? others : [...others, 'cookie', cookies.join('; ')];
}

async function forward(
  stream: ServerHttp2Stream,
  { head, entry, raw, conversation, getUpstream }: Streamed,
): Promise<void> {
  const admitted = await conversation.admit(head);
  if (isGone(stream)) return;
  if (isRefusal(admitted)) {
    refuse(stream, entry, admitted);
    return;
  }
  const session = await getUpstream();
  // It may have been reset while the connection was opened.
  if (isGone(stream)) return;
  const hasBody = !stream.endAfterHeaders;
  const outgoing = session.request(outgoingHeaders(head, raw, admitted), {
    endStream: !hasBody,
    waitForTrailers: hasBody,
  });
  outgoing.on('error', () => undefined);
  stream.once('close', () => {
    if (!outgoing.closed) outgoing.close(constants.NGHTTP2_CANCEL);
  });
  if (hasBody) passBody(stream, outgoing, admitted, entry);
  passAnswer(stream, outgoing, admitted, entry);
}

const isGone = (stream: ServerHttp2Stream): boolean => stream.destroyed;

function outgoingHeaders({ method }: RequestHead, raw: RawHeaders, admitted: Admitted): OutgoingHttpHeaders {
  const { target, host, rule, isPathJudged } = admitted;
  // Trailers need no announcement but this one, which gRPC servers require.
  const trailers = pairsOf(raw).some(([name, value]) => name === 'te' && value === 'trailers')
    ? { te: 'trailers' }
    : {};
  return {
    ...toObject(requestHeaders(raw, rule, isPathJudged)),
    ...lengthOf(raw),
    ...trailers,
    [HTTP2_HEADER_METHOD]: method,
    [HTTP2_HEADER_SCHEME]: 'https',
    [HTTP2_HEADER_AUTHORITY]: host,
    [HTTP2_HEADER_PATH]: target,
    // HPACK must not index them (RFC 7541, section 7.1.3).
    [sensitiveHeaders]: [...rule.names],
  };
}

function lengthOf(raw: RawHeaders): OutgoingHttpHeaders {
  const lengths = pairsOf(raw).filter(([name]) => name === 'content-length');
  return lengths.length === 1 ? { 'content-length': lengths[0]?.[1] ?? '' } : {};
}

function toObject(flat: RawHeaders): Record<string, string | string[]> {
  const object = Object.create(null) as Record<string, string | string[]>;
  for (const [name, value] of pairsOf(flat)) {
    const lower = name.toLowerCase();
    const present = object[lower];
    if (present === undefined) object[lower] = value;
    else object[lower] = [...(Array.isArray(present) ? present : [present]), value];
  }
  return object;
}

function passBody(
  stream: ServerHttp2Stream,
  outgoing: ClientHttp2Stream,
  { rule }: Admitted,
  entry: RequestEntry,
): void {
  let trailers: string[] = [];
  stream.on('trailers', (_headers, _flags, raw: string[]) => (trailers = safeTrailers(raw, rule)));
  stream.on('data', (chunk: Buffer) => entry.sent(chunk.byteLength));
  outgoing.on('wantTrailers', () => outgoing.sendTrailers(toObject(trailers)));
  stream.pipe(outgoing);
}

function passAnswer(
  stream: ServerHttp2Stream,
  outgoing: ClientHttp2Stream,
  { rule }: Admitted,
  entry: RequestEntry,
): void {
  const interim = createInterimBudget();
  let trailers: string[] = [];
  outgoing.on('headers', (headers, _flags, raw: string[]) => {
    if (!interim.spend(raw)) outgoing.close(constants.NGHTTP2_ENHANCE_YOUR_CALM);
    else if (Number(headers[HTTP2_HEADER_STATUS]) === 100 && !stream.headersSent && !stream.destroyed)
      stream.additionalHeaders({ [HTTP2_HEADER_STATUS]: 100 });
  });
  outgoing.on('trailers', (_headers, _flags, raw: string[]) => (trailers = safeTrailers(raw, rule)));
  outgoing.on('response', (headers, _flags, raw: string[]) => {
    if (stream.destroyed) return;
    const own = pairsOf(raw)
      .filter(([name]) => !name.startsWith(':'))
      .flat();
    const status = Number(headers[HTTP2_HEADER_STATUS]);
    try {
      stream.respond(
        { [HTTP2_HEADER_STATUS]: status, ...toObject(answerHeaders(own, rule)) },
        { waitForTrailers: true },
      );
    } catch (thrown) {
      outgoing.close(constants.NGHTTP2_PROTOCOL_ERROR);
      refuse(stream, entry, failureAnswer(thrown));
      return;
    }
    const coding = headers['content-encoding'];
    const mask = coding === undefined || coding === 'identity' ? createEchoMask(rule.secrets) : undefined;
    stream.on('wantTrailers', () => stream.sendTrailers(toObject(trailers)));
    outgoing.on('data', (chunk: Buffer) => entry.received(chunk.byteLength));
    (mask === undefined ? outgoing : outgoing.pipe(mask)).pipe(stream);
  });
  outgoing.once('close', () => {
    if (stream.destroyed || stream.closed) return;
    if (!stream.headersSent) refuse(stream, entry, failureAnswer(undefined));
    else if (outgoing.rstCode !== constants.NGHTTP2_NO_ERROR) stream.close(outgoing.rstCode);
  });
}

function refuse(stream: ServerHttp2Stream, entry: RequestEntry, answer: RefusalAnswer): void {
  entry.end(answer.reason, false);
  if (stream.destroyed || stream.headersSent) return;
  stream.respond({ [HTTP2_HEADER_STATUS]: answer.status, ...toObject(answer.headers) });
  stream.end(answer.body);
  // The rest of the body is not wanted.
  stream.resume();
}
