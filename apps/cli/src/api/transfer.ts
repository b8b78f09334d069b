import { request as httpRequest } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { text } from 'node:stream/consumers';
import { createHttp1Agent } from '@soulbox/client/node';
import { headers as headerNames } from '@soulbox/contract';
import { withHint } from '../command-line/hints.ts';
import { ApiError } from './api-error.ts';
import type { ApiErrorFacts } from './api-error.ts';
import { openApi, readError, unreachable, urlOf } from './call.ts';
import type { ApiCall } from './call.ts';
import type { ApiConnection } from './connection.ts';
import { hintForAnswer } from './hints.ts';

/** A transfer of any length goes on as long as bytes move. A server that saves a large memory first sends nothing. */
const idleMs = 600_000;

/** The body of a response as it arrives. Throws like `callApi`, and when nothing arrives for a long time. */
export async function* downloadApi(
  api: ApiConnection,
  call: Pick<ApiCall, 'path' | 'query'>,
  stop: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const idle = new AbortController();
  const timer = setTimeout(() => idle.abort(new Error('nothing arrives')), idleMs);
  try {
    // Each export saves the sandbox again and cuts its connections.
    const response = await openApi(api, { ...call, isMadeOnce: true, signal: AbortSignal.any([stop, idle.signal]) });
    for await (const bytes of response.body ?? []) {
      timer.refresh();
      yield bytes as Uint8Array;
    }
  } catch (error) {
    if (stop.aborted) throw stop.reason;
    throw error instanceof TypeError ? unreachable(api, error) : error;
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Sends a stream as the body of a request. A server that refuses it responds before it has read everything, which Node's
 * fetch reports as a broken connection; so this is a request of node:http. Throws like `callApi`.
 */
export async function uploadApi<T>(
  api: ApiConnection,
  call: Pick<ApiCall, 'path' | 'query'> & { readonly method: 'POST' | 'PUT'; readonly contentType: string },
  source: AsyncIterable<Uint8Array>,
  stop: AbortSignal,
): Promise<T> {
  const url = urlOf(api, call);
  const headers = { 'x-api-key': api.key.reveal(), 'content-type': call.contentType };
  const request = (url.protocol === 'https:' ? httpsRequest : httpRequest)(url, {
    ...{
      method: call.method,
      headers,
      signal: stop,
      timeout: idleMs,
      agent: createHttp1Agent(url.protocol, { idleMs }),
    },
  });
  request.on('timeout', () => request.destroy(new Error('nothing moves')));
  const answered = new Promise<IncomingMessage>((resolve, reject) => {
    request.once('response', resolve).once('error', reject);
  });
  const state = { isAnswered: false };
  answered.then(
    () => (state.isAnswered = true),
    () => (state.isAnswered = true),
  );
  const sent = send(request, source, () => state.isAnswered);
  try {
    const [response] = await Promise.all([answered, sent]);
    const body = await text(response);
    const status = response.statusCode ?? 0;
    if (status >= 400) {
      const refused = new ApiError(status, readError(status, body).message, readFacts(response));
      throw withHint(refused, hintForAnswer(api, status, refused.reason));
    }
    return JSON.parse(body) as T;
  } catch (error) {
    if (stop.aborted) throw stop.reason;
    const isOfNode = typeof (error as NodeJS.ErrnoException).code === 'string' && request.destroyed;
    throw isOfNode && (error as NodeJS.ErrnoException).syscall !== 'open' ? unreachable(api, error) : error;
  } finally {
    request.destroy();
  }
}

function readFacts({ headers }: IncomingMessage): ApiErrorFacts {
  const textOf = (name: string): string | undefined => headers[name]?.toString();
  return { reason: textOf(headerNames.reason), requestId: textOf(headerNames.requestId) };
}

/** Stops when the response has come. */
async function send(
  request: ReturnType<typeof httpRequest>,
  source: AsyncIterable<Uint8Array>,
  isAnswered: () => boolean,
): Promise<void> {
  for await (const bytes of source) {
    if (isAnswered()) return;
    if (request.write(bytes)) continue;
    await new Promise<void>((resolve) => {
      for (const event of ['drain', 'close', 'response']) request.once(event, () => resolve());
    });
  }
  request.end();
}
