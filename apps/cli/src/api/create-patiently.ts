import { ApiError } from './api-error.ts';
import { callApi } from './call.ts';
import type { ApiAnswer } from './call.ts';
import type { ApiConnection } from './connection.ts';

/** Time to make the largest template over a slow line. */
const templateMakeMs = 30 * 60_000;

/**
 * Creates a sandbox. If the template must be made first, calls are repeated until it is ready; each call waits for part
 * of that time.
 */
export async function createPatiently<T>(
  api: ApiConnection,
  body: object,
  idempotencyKey?: string,
): Promise<ApiAnswer<T>> {
  // With a key, the call would be repeated silently instead of with the progress of the build.
  const call = { method: 'POST', path: '/v2/sandboxes', body, idempotencyKey, isMadeOnce: true } as const;
  const giveUpAt = Date.now() + templateMakeMs;
  for (;;) {
    try {
      return await callApi<T>(api, call);
    } catch (error) {
      const isBeingMade = error instanceof ApiError && error.status === 503 && /is being built/.test(error.message);
      if (!isBeingMade || Date.now() > giveUpAt) throw error;
      console.error(error.message.replace(/ Retry\.$/, ''));
    }
  }
}
