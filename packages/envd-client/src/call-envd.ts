import { request } from 'node:http';
import type { ClientRequest, RequestOptions } from 'node:http';
import { request as requestTls } from 'node:https';
import { pipeline } from 'node:stream/promises';
import { createByteCollector, SoulBoxError } from '@soulbox/base';
import type { Way } from './way.ts';

export interface EnvdCall {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | AsyncIterable<Uint8Array>;
  /** The limit for the whole call, including dialing and the body. Absent: only `signal` ends it. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  /** The maximum size of envd's answer. */
  readonly maxAnswerBytes: number;
  /** The treatment of a longer answer. `cut`: its beginning is the answer. Absent: the call fails. */
  readonly onExcess?: 'cut';
}

export interface EnvdAnswer {
  readonly status: number;
  readonly body: Buffer;
}

/**
 * Makes one HTTP request outside of Connect. A response with any status is an answer. Throws `sandbox_unreachable` if
 * there is none, and the error that occurred while the request body was read.
 */
export async function callEnvd(way: Way, call: EnvdCall): Promise<EnvdAnswer> {
  const { timeoutMs, signal } = call;
  const outgoing = begin(way, call);
  // A request that is still dialing does not report that it was destroyed, so the race below needs this promise.
  const { promise: givenUp, reject } = Promise.withResolvers<never>();
  const onAbort = (): void => reject(signal?.reason);
  const timer =
    timeoutMs === undefined
      ? undefined
      : setTimeout(() => reject(new Error(`no response within ${timeoutMs} ms`)), timeoutMs);
  signal?.addEventListener('abort', onAbort);
  const body = watchSource(call.body);
  try {
    signal?.throwIfAborted();
    const [answer] = await Promise.race([
      Promise.all([readAnswer(outgoing, call), send(outgoing, body.content)]),
      givenUp,
    ]);
    return answer;
  } catch (cause) {
    const own = body.fault ?? (cause instanceof SoulBoxError ? cause : undefined);
    if (own !== undefined) throw own;
    throw new SoulBoxError('sandbox_unreachable', 'The envd of the sandbox did not respond.', { cause });
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
    outgoing.destroy();
  }
}

function begin({ agent, origin, headers }: Way, { method, path, headers: own, body }: EnvdCall): ClientRequest {
  const options: RequestOptions = {
    agent,
    method,
    path,
    host: origin.hostname,
    port: origin.port,
    headers: {
      ...headers,
      ...own,
      'accept-encoding': 'identity',
      ...(body instanceof Uint8Array ? { 'content-length': body.byteLength } : {}),
    },
  };
  return origin.protocol === 'https:' ? requestTls(options) : request(options);
}

interface Source {
  readonly content: EnvdCall['body'];
  /** The error from reading the body. It is a fault of this side, not of envd. */
  fault?: Error;
}

function watchSource(body: EnvdCall['body']): Source {
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

async function send(outgoing: ClientRequest, body: EnvdCall['body']): Promise<void> {
  if (body === undefined || body instanceof Uint8Array) outgoing.end(body);
  else await pipeline(body, outgoing);
}

async function readAnswer(outgoing: ClientRequest, { maxAnswerBytes, onExcess }: EnvdCall): Promise<EnvdAnswer> {
  return await new Promise((resolve, reject) => {
    outgoing.on('error', reject);
    outgoing.on('response', (response) => {
      const answer = createByteCollector(maxAnswerBytes);
      const finish = (): void => {
        resolve({ status: response.statusCode ?? 0, body: answer.bytes() });
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
