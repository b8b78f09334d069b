import { constants } from 'node:http2';
import type { ClientHttp2Stream, IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http2';
import type { Writable } from 'node:stream';
import { createInterimBudget } from '@soulbox/base';
import { envdPort } from '@soulbox/contract';
import { ProcessService } from '@soulbox/contract/process-v1';
import { findHeader } from '../exchange/exchange.ts';
import type { Exchange, RawHeaders } from '../exchange/exchange.ts';
import type { Http2Sessions } from '../sandboxes/http2-sessions.ts';
import { connectFarewell, endSoon, grpcFarewell, isConnectStream } from './farewell.ts';
import { answerHeaders, safeTrailers } from './headers.ts';
import { createMessageCutter } from './message-cutter.ts';
import type { MessageCutter } from './message-cutter.ts';
import { passOn } from './pass-on.ts';
import { cutInto } from './send-answer.ts';
import type { Holding } from './unread.ts';

const { NGHTTP2_CANCEL, NGHTTP2_FLAG_END_STREAM } = constants;

export interface GrpcForward {
  readonly http2: Http2Sessions;
  readonly port: number;
  readonly path: string;
  readonly headers: RawHeaders;
  readonly holding: Holding;
  /**
   * Receives a function that ends the answer when the sandbox is gone. Only called for answers whose clients can be
   * notified.
   */
  readonly onAnswer?: ((breakOff: () => void) => void) | undefined;
  /** Called when no answer came. It may send one. */
  readonly onFailure: (error: Error) => void;
}

/** The call of envd that sends and receives at the same time. In Connect, too, it exists only over HTTP/2. */
const interactPath = `/${ProcessService.typeName}/${ProcessService.method.interact.name}`;

/**
 * True for gRPC itself, and for a bidirectional call of envd in Connect. gRPC-Web has its trailers in the body and uses
 * HTTP/1.1 like everything else.
 */
export function needsHttp2(exchange: Exchange, { port, path }: { port: number; path: string }): boolean {
  if (exchange.protocol !== 'http/2') return false;
  const type = findHeader(exchange.headers, 'content-type')?.toLowerCase() ?? '';
  if (port === envdPort && path === interactPath && type.startsWith('application/connect+')) return true;
  return type === 'application/grpc' || /^application\/grpc[+;]/.test(type);
}

/** Forwards the exchange over HTTP/2. */
export async function forwardGrpc(exchange: Exchange, forward: GrpcForward): Promise<void> {
  let stream: ClientHttp2Stream;
  try {
    stream = await forward.http2.request(forward.port, requestHeaders(exchange, forward), {
      endStream: !exchange.hasBody,
    });
  } catch (error) {
    if (!exchange.closed) forward.onFailure(error as Error);
    return;
  }
  let failure: Error | undefined;
  let isOver = false;
  stream.on('error', (error: Error) => {
    failure = error;
  });
  const interim = createInterimBudget();
  const countInterim = (rawHeaders: RawHeaders): void => {
    if (!interim.spend(rawHeaders)) stream.close(NGHTTP2_CANCEL);
  };
  stream.on('continue', () => countInterim([]));
  stream.on('headers', (_headers: IncomingHttpHeaders, _flags: number, raw: string[]) => countInterim(raw));
  exchange.onClose(() => {
    if (!stream.closed) stream.close(NGHTTP2_CANCEL);
  });
  if (exchange.closed) return;
  if (exchange.hasBody) {
    passOn(exchange.body, stream, forward.holding);
    exchange.body.once('end', () => stream.end());
  }
  stream.on('response', (headers, flags, rawHeaders) => {
    const { holding } = forward;
    const answer = passAnswer(exchange, stream, { status: headers[':status'] ?? 0, rawHeaders, flags, holding });
    if (answer === undefined) return;
    forward.onAnswer?.(() => {
      isOver = answer.messages?.isBetween() ?? true;
      if (!isOver) {
        exchange.reset();
        return;
      }
      if (answer.messages === undefined) exchange.setTrailers(grpcFarewell);
      answer.body.end(answer.messages === undefined ? undefined : connectFarewell);
      endSoon(exchange, answer.body);
    });
  });
  stream.on('close', () => {
    if (exchange.closed) return;
    if (!exchange.headSent)
      forward.onFailure(failure ?? new Error('The service closed the stream without a response.'));
    else if (!isOver && (!stream.readableEnded || stream.rstCode !== 0)) exchange.reset();
  });
}

/** Passes the answer on, in Connect in complete messages. Returns undefined if the answer is already over. */
function passAnswer(
  exchange: Exchange,
  stream: ClientHttp2Stream,
  head: { status: number; rawHeaders: RawHeaders; flags: number; holding: Holding },
): { readonly body: Writable; readonly messages: MessageCutter | undefined } | undefined {
  try {
    const answer = exchange.sendHead(head.status, '', answerHeaders(withoutPseudo(head.rawHeaders)));
    if ((head.flags & NGHTTP2_FLAG_END_STREAM) !== 0) {
      answer.end();
      return undefined;
    }
    stream.on('trailers', (_headers: IncomingHttpHeaders, _flags: number, raw: string[]) => {
      exchange.setTrailers(safeTrailers(raw));
    });
    const messages = isConnectStream(head.status, head.rawHeaders) ? createMessageCutter() : undefined;
    passOn(stream, answer, head.holding, messages && cutInto(messages, head.holding));
    stream.once('end', () => {
      if (!answer.writableEnded) answer.end(messages?.rest());
    });
    return { body: answer, messages };
  } catch {
    // Node rejected a header from the sandbox.
    stream.close(NGHTTP2_CANCEL);
    exchange.reset();
    return undefined;
  }
}

function requestHeaders(exchange: Exchange, forward: GrpcForward): OutgoingHttpHeaders {
  const headers: Record<string, string | string[]> = {
    ':method': exchange.method,
    ':path': forward.path,
    ':scheme': 'http',
    te: 'trailers',
  };
  for (let index = 0; index < forward.headers.length; index += 2) {
    const name = forward.headers[index]?.toLowerCase() ?? '';
    const value = forward.headers[index + 1] ?? '';
    const present = headers[name];
    if (name === 'host') headers[':authority'] = value;
    else if (present === undefined) headers[name] = value;
    else headers[name] = [...(Array.isArray(present) ? present : [present]), value];
  }
  return headers;
}

function withoutPseudo(rawHeaders: RawHeaders): string[] {
  return rawHeaders.filter((_, index) => rawHeaders[index - (index % 2)]?.startsWith(':') !== true);
}
