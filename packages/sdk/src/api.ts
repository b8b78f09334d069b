import type { components } from '@soulbox/contract/rest';
import { headers as headerNames } from '@soulbox/contract/headers';
import { followLines, linesOf, noRetries } from '@soulbox/client';
import type { CallError, HttpCall } from '@soulbox/client';
import { requestSignal, silenceMs } from './config.ts';
import type { Connection } from './config.ts';
import { rethrow, SoulBoxError } from './error.ts';
import type { ErrorCode } from './error.ts';

/**
 * The bodies of the REST API, generated from its OpenAPI document. Names and units are those of the wire, for example
 * `sandboxID` and seconds. `GET /openapi.json` of a server describes every field and its limits.
 */
export type Schemas = components['schemas'];

/** @internal */
export interface ApiCall {
  readonly method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Starts with a slash. Build its variable parts with `segment`. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string | number | undefined>>;
  /** Sent as JSON; undefined members are left out. */
  readonly body?: object;
  readonly accept?: string;
  readonly idempotencyKey?: string | undefined;
  /** The call goes on for as long as there is something to send. */
  readonly isStream?: boolean;
  readonly isMadeOnce?: boolean;
}

/** @internal */
export interface ApiAnswer<T> {
  readonly status: number;
  readonly headers: Headers;
  readonly body: T;
}

const linesType = 'application/x-ndjson';

/** One segment of a path. @internal */
export function segment(text: string): string {
  // As a whole segment, dots would change the path.
  if (/^\.{0,2}$/.test(text))
    throw new SoulBoxError(`${JSON.stringify(text)} is not a valid id or name.`, {
      ...{ code: 'invalid_argument', reason: 'bad_request' },
    });
  return encodeURIComponent(text);
}

/** Makes one call of the API. The type of the body is not verified. Throws SoulBoxError. @internal */
export async function callApi<T>(connection: Connection, call: ApiCall): Promise<ApiAnswer<T>> {
  const { status, headers, text } = await connection.calls.call(requestFrom(connection, call)).catch(rethrow);
  try {
    return { status, headers, body: (text === '' ? undefined : JSON.parse(text)) as T };
  } catch (cause) {
    const facts = { code: 'internal', reason: 'invalid_response', status, cause } as const;
    throw new SoulBoxError(`The response of ${call.path} is not valid JSON.`, facts);
  }
}

/** The same for a call that changes what may be gone: false for 404. @internal */
export async function callUnlessGone(connection: Connection, call: ApiCall): Promise<boolean> {
  try {
    await callApi(connection, call);
    return true;
  } catch (error) {
    if (error instanceof SoulBoxError && error.status === 404) return false;
    throw error;
  }
}

/** The same, but the body of the response is still unread. @internal */
export async function openApi(connection: Connection, call: ApiCall): Promise<Response> {
  return await connection.calls.open(requestFrom(connection, call)).catch(rethrow);
}

/** Lines of JSON as they arrive. @internal */
export async function* streamLines<T>(connection: Connection, call: ApiCall): AsyncGenerator<T> {
  const response = await openApi(connection, { ...call, accept: linesType, isStream: true });
  try {
    for await (const line of linesOf(response)) if (line !== '') yield JSON.parse(line) as T;
  } catch (error) {
    rethrow(error);
  }
}

/** Lines of JSON that go on with what is new. `call` says what follows the lines that were read. @internal */
export async function* followApi<T extends object>(connection: Connection, call: () => ApiCall): AsyncGenerator<T> {
  const { signal } = connection.options;
  // The loop repeats the call, and says anew from where.
  const open = async (ended: AbortSignal): Promise<Response> =>
    await connection.calls.open({
      ...requestFrom(connection, { ...call(), accept: linesType, isStream: true, isMadeOnce: true }),
      signal: ended,
    });
  const { events, target, retry } = connection;
  const onResume = (error: CallError | undefined): void =>
    events.emit({ target: target.name, type: 'resume', stream: `GET ${call().path}`, error });
  const options = { retry, onResume, ...(signal === undefined ? {} : { signal }) };
  try {
    yield* followLines<T>(open, options);
  } catch (error) {
    // Also of a signal with a time: it is the end that the caller has set, and no late response.
    if (signal?.aborted === true)
      throw new SoulBoxError('The call was aborted.', { code: 'canceled', reason: 'aborted', cause: error });
    rethrow(error);
  }
}

/** The body of a response. Not every browser can iterate over streams. @internal */
export async function* chunksOf(response: Response): AsyncGenerator<Uint8Array> {
  const reader = (response.body as ReadableStream<Uint8Array> | null)?.getReader();
  if (reader === undefined) return;
  try {
    for (;;) {
      const next = await reader.read().catch(rethrow);
      if (next.done) return;
      yield next.value;
    }
  } finally {
    // After the end it has no effect; before it, the connection is given up.
    void reader.cancel().catch(() => undefined);
  }
}

const codes: Readonly<Record<number, ErrorCode>> = {
  ...{ 401: 'unauthenticated', 403: 'permission_denied', 404: 'not_found', 408: 'unavailable' },
  ...{ 409: 'failed_precondition', 429: 'resource_exhausted', 501: 'unimplemented', 502: 'unavailable' },
  ...{ 503: 'unavailable', 504: 'deadline_exceeded', 507: 'resource_exhausted' },
};
const maxErrorText = 64 * 1024;

/** The error of a response to a request that was made without `calls`, which has a stream as its body. @internal */
export async function errorFromResponse(
  response: Response,
  message: string,
  reasons: Readonly<Record<number, string>> = {},
): Promise<SoulBoxError> {
  const { status, headers } = response;
  const text = await response.text().catch(() => '');
  return new SoulBoxError(parseMessage(text.slice(0, maxErrorText)) ?? message, {
    ...{ code: codes[status] ?? (status >= 500 ? 'internal' : 'invalid_argument'), status },
    reason: headers.get(headerNames.reason) ?? reasons[status] ?? `status_${status}`,
    requestId: headers.get(headerNames.requestId) ?? undefined,
  });
}

function parseMessage(text: string): string | undefined {
  try {
    const { message } = JSON.parse(text) as { message?: unknown };
    return typeof message === 'string' ? message : undefined;
  } catch {
    return undefined;
  }
}

/** @internal */
export function apiHeaders(connection: Connection): Record<string, string> {
  if (connection.apiKey === undefined)
    throw new SoulBoxError('An API key is needed. Pass apiKey or set E2B_API_KEY.', {
      ...{ code: 'unauthenticated', reason: 'config_invalid' },
    });
  return { ...connection.headers, [headerNames.apiKey]: connection.apiKey };
}

/** @internal */
export function apiUrlOf({ apiUrl }: Connection, { path, query = {} }: ApiCall): URL {
  const url = new URL(`${apiUrl}${path}`);
  for (const [name, value] of Object.entries(query)) if (value !== undefined) url.searchParams.set(name, String(value));
  return url;
}

function requestFrom(connection: Connection, call: ApiCall): HttpCall {
  const { method = 'GET', body, accept, idempotencyKey } = call;
  const signal = call.isStream === true ? connection.options.signal : requestSignal(connection);
  return {
    method,
    url: apiUrlOf(connection, call),
    headers: {
      ...apiHeaders(connection),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...(accept === undefined ? {} : { accept }),
      ...(idempotencyKey === undefined ? {} : { [headerNames.idempotencyKey]: quotedKey(idempotencyKey) }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    idempotencyKey,
    ...(signal === undefined ? {} : { signal }),
    ...(call.isMadeOnce === true ? { retry: noRetries } : {}),
    // Reading takes no time at the server. Changing something can, for example to save a memory.
    ...(method === 'GET' && call.isStream !== true ? { attemptTimeoutMs: silenceMs } : {}),
  };
}

/** As a string of RFC 8941. */
function quotedKey(text: string): string {
  if (/^[\x20-\x7e]+$/.test(text)) return `"${text.replaceAll(/["\\]/g, String.raw`\$&`)}"`;
  throw new SoulBoxError('An idempotency key must consist of visible ASCII characters.', {
    ...{ code: 'invalid_argument', reason: 'bad_request' },
  });
}
