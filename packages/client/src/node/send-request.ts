import { request as requestPlain } from 'node:http';
import type { Agent, ClientRequest, RequestOptions } from 'node:http';
import { request as requestTls } from 'node:https';
import type { Duplex } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { boundInterimAnswers, createByteCollector } from '@soulbox/base';
import { CallError, ownReasons } from '../core/call-error.ts';
import { errorFromFailure, failureFromThrown } from '../core/failure.ts';
import { abortedError } from '../core/retry-call.ts';

export interface BoundedRequest {
  /** Connections of an agent, or one that was opened for this request and ends with it. */
  readonly over: { readonly agent: Agent; readonly origin: URL } | { readonly connection: Duplex };
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | AsyncIterable<Uint8Array> | undefined;
  /** The limit for the whole call, including dialing and the body. Absent: only `signal` ends it. */
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** The maximum size of the body of the response. */
  readonly maxAnswerBytes: number;
  /** The treatment of a longer one. `cut`: its beginning is the answer. Absent: the call fails. */
  readonly onExcess?: 'cut' | undefined;
}

export interface BoundedAnswer {
  readonly status: number;
  readonly rawHeaders: readonly string[];
  readonly body: Buffer;
}

/**
 * Makes one HTTP/1.1 request of a hostile server, once: its response is limited in size, pieces and interim answers, and
 * the whole call in time. A response with any status is an answer. Throws CallError if there is none, whose `cause` says
 * why; an error that occurred while the request body was read is thrown as it is.
 */
export async function sendRequest(call: BoundedRequest): Promise<BoundedAnswer> {
  boundInterimAnswers();
  const { timeoutMs, signal } = call;
  const body = watchSource(call.body);
  let outgoing: ClientRequest | undefined;
  let endWait = (): void => undefined;
  // A request that is still dialing does not report that it was destroyed, so the race below needs this promise.
  const givenUp = new Promise<never>((_resolve, reject) => {
    const onAbort = (): void => reject(signal?.reason as Error);
    const late = (): void => reject(timeoutError(timeoutMs ?? 0));
    const timer = timeoutMs === undefined ? undefined : setTimeout(late, timeoutMs);
    signal?.addEventListener('abort', onAbort);
    endWait = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
    };
  });
  // It may be rejected before the race begins.
  givenUp.catch(() => undefined);
  try {
    signal?.throwIfAborted();
    outgoing = begin(call);
    const exchange = Promise.all([readAnswer(outgoing, call), send(outgoing, body.content)]);
    const [answer] = await Promise.race([exchange, givenUp]);
    return answer;
  } catch (cause) {
    if (body.fault !== undefined) throw body.fault;
    throw signal?.aborted === true ? abortedError(signal) : noAnswerError(cause);
  } finally {
    endWait();
    outgoing?.destroy();
    if ('connection' in call.over) call.over.connection.destroy();
  }
}

function noAnswerError(cause: unknown): CallError {
  if (cause instanceof CallError) return cause;
  const { message, ...failure } = failureFromThrown(cause);
  return errorFromFailure({ ...failure, message: `There was no response: ${message}`, cause }, false);
}

function begin({ over, method, path, headers, body }: BoundedRequest): ClientRequest {
  const options: RequestOptions = {
    method,
    path,
    headers: {
      ...headers,
      ...(body instanceof Uint8Array ? { 'content-length': body.byteLength } : {}),
    },
  };
  if ('connection' in over) {
    const { connection } = over;
    // It may break after the request, when nobody listens any longer.
    connection.on('error', () => undefined);
    // Without an agent: it would open a connection of its own.
    return requestPlain({ ...options, createConnection: () => connection });
  }
  const { agent, origin } = over;
  const located = { ...options, agent, host: origin.hostname, port: origin.port };
  return origin.protocol === 'https:' ? requestTls(located) : requestPlain(located);
}

interface Source {
  readonly content: BoundedRequest['body'];
  /** The error from reading the body. It is a fault of this side, not of the server. */
  fault?: Error;
}

function watchSource(body: BoundedRequest['body']): Source {
  if (body === undefined || body instanceof Uint8Array) return { content: body };
  const source: Source = { content: read(body) };
  return source;

  async function* read(content: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    try {
      yield* content;
    } catch (error) {
      source.fault = error instanceof Error ? error : new Error(String(error));
      throw error;
    }
  }
}

async function send(outgoing: ClientRequest, body: BoundedRequest['body']): Promise<void> {
  if (body === undefined || body instanceof Uint8Array) outgoing.end(body);
  else await pipeline(body, outgoing);
}

async function readAnswer(
  outgoing: ClientRequest,
  { maxAnswerBytes, onExcess }: BoundedRequest,
): Promise<BoundedAnswer> {
  return await new Promise((resolve, reject) => {
    outgoing.on('error', reject);
    outgoing.on('response', (response) => {
      const answer = createByteCollector(maxAnswerBytes);
      const finish = (): void => {
        resolve({ status: response.statusCode ?? 0, rawHeaders: response.rawHeaders, body: answer.bytes() });
        response.destroy();
      };
      response.on('error', reject);
      response.on('end', finish);
      // Not read as an iterable: single bytes would cost ten times as much.
      response.on('data', (piece: Buffer) => {
        if (response.destroyed) return;
        const room = maxAnswerBytes - answer.size;
        if (!answer.add(onExcess === 'cut' ? piece.subarray(0, room) : piece))
          response.destroy(new Error('The response is too large, or arrives in too many pieces.'));
        else if (onExcess === 'cut' && piece.length >= room) finish();
      });
    });
  });
}

function timeoutError(timeoutMs: number): CallError {
  const facts = { code: 'deadline_exceeded', reason: ownReasons.timeout, retryable: false } as const;
  return new CallError(`There was no response within ${timeoutMs} ms.`, facts);
}
