import type { ApiCall } from './call.ts';
import { openApi } from './call.ts';
import type { ApiConnection } from './connection.ts';

/**
 * Makes one call of the API that returns lines of JSON. Throws like `callApi`; the type of the lines is not verified.
 */
export async function* streamApi<T>(api: ApiConnection, call: Omit<ApiCall, 'method'>): AsyncGenerator<T> {
  const response = await openApi(api, { ...call, method: 'POST', accept: 'application/x-ndjson' });
  const decoder = new TextDecoder();
  let rest = '';
  for await (const bytes of response.body ?? []) {
    rest += decoder.decode(bytes as Uint8Array, { stream: true });
    const lines = rest.split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) if (line !== '') yield JSON.parse(line) as T;
  }
}
