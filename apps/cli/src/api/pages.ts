import { callApi } from './call.ts';
import type { ApiCall } from './call.ts';
import type { ApiConnection } from './connection.ts';

/** All entries of a paged list of the API. */
export async function listAll<T>(api: ApiConnection, call: ApiCall): Promise<T[]> {
  const entries: T[] = [];
  let nextToken: string | undefined;
  do {
    const page = await callApi<readonly T[]>(api, { ...call, query: { ...call.query, nextToken } });
    entries.push(...page.body);
    nextToken = page.headers.get('x-next-token') ?? undefined;
  } while (nextToken !== undefined);
  return entries;
}
