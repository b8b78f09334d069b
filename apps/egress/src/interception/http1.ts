import { Agent, request as httpRequest } from 'node:http';
import type { ClientRequest, IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Admitted, Conversation, RequestEntry } from './conversation.ts';
import { isRefusal } from './conversation.ts';
import { createEchoMask } from './echo-mask.ts';
import { headMaxBytes } from './http1-server.ts';
import type { Http1Taker } from './http1-server.ts';
import { answerHeaders, headerValues, maskText, pairsOf, requestHeaders, safeTrailers } from './message-headers.ts';
import { failureAnswer, refusalAnswer } from './refusal-answer.ts';
import type { RefusalAnswer } from './refusal-answer.ts';
import type { RequestHead } from './request-plan.ts';

/** RFC 9110, section 9.2.2: executing these twice has the same effect as once. */
const idempotent: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE']);
/** For these methods, no length means no body. For any other, Node would send an empty chunked body. */
const withoutLength: ReadonlySet<string> = new Set(['GET', 'HEAD', 'DELETE', 'OPTIONS']);

/** One request while it is forwarded. */
interface Passing {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** The sandbox's end, for a WebSocket handshake only. */
  readonly socket: Duplex | undefined;
  readonly admitted: Admitted;
  readonly entry: RequestEntry;
  readonly agent: Agent;
}

/** Forwards the requests of a connection over HTTP/1.1, one after the other on one connection to the host. */
export function forwardHttp1(conversation: Conversation): Http1Taker & Disposable {
  const agent = new Agent({ keepAlive: true, maxSockets: 1, maxFreeSockets: 1 });
  agent.createConnection = (_options, done) => {
    conversation.openUpstream().then(
      ({ socket }) => done?.(null, socket),
      (thrown: unknown) => done?.(thrown as Error, undefined as never),
    );
    return undefined;
  };
  const take = async (request: IncomingMessage, response: ServerResponse, socket?: Duplex): Promise<void> => {
    request.on('error', () => undefined);
    response.on('error', () => undefined);
    const head = headOf(request);
    const entry = conversation.begin(head);
    response.once('close', () => entry.end(undefined, true));
    const fault = framingFault(request);
    const admitted =
      fault === undefined
        ? await conversation.admit(head).catch((thrown: unknown) => failureAnswer(thrown))
        : refusalAnswer(400, undefined, fault);
    if (response.destroyed) return;
    if (isRefusal(admitted)) refuse({ request, response, entry }, admitted);
    else attempt({ request, response, socket, admitted, entry, agent }, isRepeatable(request));
  };
  return {
    request: (request, response) => void take(request, response),
    upgrade: (request, response, socket) => void take(request, response, socket),
    [Symbol.dispose]: () => agent.destroy(),
  };
}

function headOf({ method = 'GET', url = '/', rawHeaders }: IncomingMessage): RequestHead {
  return { method, target: url, authorities: headerValues(rawHeaders, 'host') };
}

const hasBody = ({ rawHeaders }: IncomingMessage): boolean =>
  headerValues(rawHeaders, 'transfer-encoding').length > 0 ||
  headerValues(rawHeaders, 'content-length').some((length) => length !== '0');

const isRepeatable = (request: IncomingMessage): boolean => !hasBody(request) && idempotent.has(request.method ?? '');

/** Node's parser is strict already; this does not rely on it. */
function framingFault({ rawHeaders }: IncomingMessage): string | undefined {
  const lengths = headerValues(rawHeaders, 'content-length');
  const codings = headerValues(rawHeaders, 'transfer-encoding');
  const isChunked = codings.length === 1 && codings[0]?.trim().toLowerCase() === 'chunked';
  if (lengths.length + codings.length > 1 || (codings.length === 1 && !isChunked))
    return 'The length of the request body is ambiguous.';
  return undefined;
}

/** Describes the length of the body in exactly one way. */
function framingOf(request: IncomingMessage): string[] {
  const [length] = headerValues(request.rawHeaders, 'content-length');
  const isWaiting = request.headers.expect?.toLowerCase() === '100-continue';
  const expect = isWaiting ? ['Expect', '100-continue'] : [];
  if (length !== undefined) return [...expect, 'Content-Length', length];
  if (hasBody(request)) return [...expect, 'Transfer-Encoding', 'chunked'];
  return withoutLength.has(request.method ?? '') ? [] : ['Content-Length', '0'];
}

function refuse(
  { request, response, entry }: Pick<Passing, 'request' | 'response' | 'entry'>,
  answer: RefusalAnswer,
): void {
  entry.end(answer.reason, false);
  // The rest of a body is not read, so nothing can follow on this connection.
  if (hasBody(request)) response.shouldKeepAlive = false;
  response.writeHead(answer.status, [...answer.headers]);
  response.end(answer.body);
}

function attempt(passing: Passing, canRepeat: boolean): void {
  const { request, response, socket, admitted, entry, agent } = passing;
  let outgoing: ClientRequest;
  try {
    const upgrade = socket === undefined ? framingOf(request) : ['Connection', 'Upgrade', 'Upgrade', 'websocket'];
    outgoing = httpRequest({
      agent,
      method: request.method ?? 'GET',
      path: admitted.target,
      headers: [
        'Host',
        admitted.host,
        ...requestHeaders(request.rawHeaders, admitted.rule, admitted.isPathJudged),
        ...upgrade,
      ],
      maxHeaderSize: headMaxBytes,
    });
  } catch (thrown) {
    refuse(passing, failureAnswer(thrown));
    return;
  }
  let isAnswered = false;
  response.once('close', () => {
    if (!response.writableFinished && socket === undefined) outgoing.destroy();
  });
  outgoing.on('error', (error) => {
    if (isAnswered || response.destroyed) return;
    isAnswered = true;
    if (canRepeat && outgoing.reusedSocket) attempt(passing, false);
    else refuse(passing, failureAnswer(error));
  });
  outgoing.once('continue', () => {
    if (!response.headersSent) response.writeContinue();
  });
  outgoing.on('upgrade', (incoming, upstream: Duplex, head) => {
    isAnswered = true;
    upstream.on('error', () => undefined);
    if (socket === undefined || incoming.statusCode !== 101 || socket.destroyed) {
      upstream.destroy();
      refuse(passing, failureAnswer(undefined));
      return;
    }
    if (head.length > 0) upstream.unshift(head);
    switchProtocols(passing, socket, incoming, upstream);
  });
  outgoing.on('response', (incoming) => {
    isAnswered = true;
    try {
      passAnswer(passing, incoming);
    } catch (thrown) {
      // Node refused the status or a header: it is not HTTP that can be passed on.
      outgoing.destroy();
      refuse(passing, failureAnswer(thrown));
    }
  });
  if (!hasBody(request) || socket !== undefined) {
    outgoing.end();
    return;
  }
  request.on('data', (chunk: Buffer) => entry.sent(chunk.byteLength));
  request.pipe(outgoing, { end: false });
  request.once('end', () => {
    const trailers = safeTrailers(request.rawTrailers, admitted.rule);
    if (trailers.length > 0) outgoing.addTrailers(pairsOf(trailers));
    outgoing.end();
  });
}

function passAnswer({ request, response, admitted, entry }: Passing, incoming: IncomingMessage): void {
  // Without this, the body that the client still sends would be read as its next request.
  if (!request.complete && hasBody(request)) response.shouldKeepAlive = false;
  incoming.on('error', () => request.socket.destroy());
  const { rule } = admitted;
  const reasonPhrase = maskText(incoming.statusMessage ?? '', rule);
  response.writeHead(incoming.statusCode ?? 0, reasonPhrase, answerHeaders(incoming.rawHeaders, rule));
  response.flushHeaders();
  incoming.on('data', (chunk: Buffer) => entry.received(chunk.byteLength));
  const mask = isPlain(incoming) ? createEchoMask(rule.secrets) : undefined;
  const body = mask === undefined ? incoming : incoming.pipe(mask);
  body.pipe(response, { end: false });
  body.once('end', () => {
    if (!incoming.complete) {
      request.socket.destroy();
      return;
    }
    const trailers = safeTrailers(incoming.rawTrailers, rule);
    if (trailers.length > 0) response.addTrailers(pairsOf(trailers));
    response.end();
  });
}

const isPlain = ({ headers }: IncomingMessage): boolean =>
  headers['content-encoding'] === undefined || headers['content-encoding'].toLowerCase() === 'identity';

function switchProtocols(
  { request, response, admitted, entry }: Passing,
  socket: Duplex,
  incoming: IncomingMessage,
  upstream: Duplex,
): void {
  response.detachSocket(request.socket);
  const headers = [
    'Connection',
    'Upgrade',
    'Upgrade',
    'websocket',
    ...answerHeaders(incoming.rawHeaders, admitted.rule),
  ];
  const lines = pairsOf(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.write(`HTTP/1.1 101 Switching Protocols\r\n${lines.join('')}\r\n`, 'latin1');
  socket.on('data', (chunk: Buffer) => entry.sent(chunk.byteLength));
  upstream.on('data', (chunk: Buffer) => entry.received(chunk.byteLength));
  socket.pipe(upstream);
  upstream.pipe(socket);
  socket.once('close', () => {
    entry.end(undefined, true);
    upstream.destroy();
  });
  upstream.once('close', () => {
    if (!upstream.readableEnded) socket.destroy();
  });
}
