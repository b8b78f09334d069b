import { headers as headerNames } from '@soulbox/contract/headers';
import type { ApiCall } from './api.ts';
import { callApi } from './api.ts';
import type { Connection } from './config.ts';

/**
 * A list of the server: `nextItems` reads it page by page, as in e2b 2.51.0, and `for await` entry by entry. No request
 * is sent before the first of them. A list can be read once.
 */
export interface Paginator<T> extends AsyncIterable<T> {
  /** Whether there may be a further page. True before the first request. */
  readonly hasNext: boolean;
  /** Names the next page, for the option `nextToken` of a later list. Undefined at the end. */
  readonly nextToken: string | undefined;
  /** Reads the next page. At the end it returns an empty list without a request. */
  nextItems(): Promise<T[]>;
}

/** The options of a list. */
export interface PageOptions {
  /** Entries of one page, 1 to 100. Default: 100. */
  readonly limit?: number | undefined;
  /** Where to begin: `nextToken` of an earlier list with the same filters and order. Default: the first page. */
  readonly nextToken?: string | undefined;
}

/**
 * `Wire`: the form of an entry in the API.
 *
 * @internal
 */
// The type of the body is the caller's word, as everywhere here.
// oxlint-disable-next-line typescript/no-unnecessary-type-parameters
export function createPaginator<Wire, T>(
  connect: () => Connection,
  call: ApiCall,
  { limit, nextToken }: PageOptions,
  read: (entry: Wire) => T,
): Paginator<T> {
  let state = { hasNext: true, nextToken };
  const nextItems = async (): Promise<T[]> => {
    if (!state.hasNext) return [];
    const query = { ...call.query, limit, nextToken: state.nextToken };
    const { headers, body } = await callApi<readonly Wire[]>(connect(), { ...call, query });
    const next = headers.get(headerNames.nextToken) ?? undefined;
    state = { hasNext: next !== undefined, nextToken: next };
    return body.map(read);
  };
  return {
    get hasNext() {
      return state.hasNext;
    },
    get nextToken() {
      return state.nextToken;
    },
    nextItems,
    async *[Symbol.asyncIterator]() {
      while (state.hasNext) yield* await nextItems();
    },
  };
}
