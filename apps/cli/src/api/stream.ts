import type { ApiCall } from './call.ts';
import { openApi } from './call.ts';
import type { ApiConnection } from './connection.ts';

/** One call of the API that answers with lines of JSON. Throws as `callApi` does; each line's type is taken on trust. */
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
