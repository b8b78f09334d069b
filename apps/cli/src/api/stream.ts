import { followLines, linesOf } from '@soulbox/client';
import type { CallError } from '@soulbox/client';
import { openApi, openOnce, rethrow, retryPolicy } from './call.ts';
import type { ApiCall } from './call.ts';
import { connectionEvents } from './connection-events.ts';
import type { ApiConnection } from './connection.ts';

const linesType = 'application/x-ndjson';

/**
 * Makes one call of the API that returns lines of JSON. Throws like `callApi`; the type of the lines is not verified.
 */
export async function* streamApi<T>(api: ApiConnection, call: Omit<ApiCall, 'method'>): AsyncGenerator<T> {
  const response = await openApi(api, { ...call, method: 'POST', accept: linesType });
  for await (const line of linesOf(response)) if (line !== '') yield JSON.parse(line) as T;
}

/**
 * Lines of JSON that go on with what is new, over as many connections as it takes. `call` says what follows the lines
 * that were read. Ends with the sandbox. Throws like `callApi`.
 */
export async function* followApi<T extends object>(
  api: ApiConnection,
  call: () => Pick<ApiCall, 'path' | 'query'>,
): AsyncGenerator<T> {
  // The loop repeats the call, and says anew from where.
  const open = async (signal: AbortSignal): Promise<Response> =>
    await openOnce(api, { ...call(), accept: linesType, signal });
  const onResume = (error: CallError | undefined): void =>
    connectionEvents.emit({ target: api.url, type: 'resume', stream: `GET ${call().path}`, error });
  try {
    yield* followLines<T>(open, { retry: retryPolicy(), onResume });
  } catch (error) {
    rethrow(api)(error);
  }
}
