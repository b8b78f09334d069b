import { createHttpCalls, createTarget } from '@soulbox/client';
import type { HttpAnswer, HttpCall } from '@soulbox/client';

/** Of a response that is one small object. */
const maxAnswerBytes = 1024 * 1024;

/**
 * Makes one request of a server, and never again: for callers that ask repeatedly, or that only want to know whether it
 * responds. A response with any status is an answer.
 */
export async function requestOnce(
  call: Pick<HttpCall, 'method' | 'url' | 'headers' | 'body' | 'redirect'> & { readonly timeoutMs: number },
): Promise<HttpAnswer> {
  const { timeoutMs, ...request } = call;
  const target = createTarget({ name: new URL(call.url).origin, retry: { attempts: 1 }, breaker: false });
  const signal = AbortSignal.timeout(timeoutMs);
  return await createHttpCalls({ target, acceptsAnyStatus: true }).call({ ...request, signal, maxAnswerBytes });
}
