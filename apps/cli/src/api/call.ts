import { SoulBoxError } from '@soulbox/base';
import { headers } from '@soulbox/contract';
import { ApiError } from './api-error.ts';
import type { ApiConnection } from './connection.ts';

// Saving or copying a large memory takes seconds per GiB.
const timeoutMs = 600_000;

export interface ApiCall {
  readonly method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Starts with a slash. The caller must encode the variable parts. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string | number | undefined>>;
  /** Sent as JSON; undefined members are left out. */
  readonly body?: object;
  readonly accept?: string;
  /** Sent as the header of this name. */
  readonly idempotencyKey?: string | undefined;
  /** Absent: the call is aborted after ten minutes. */
  readonly signal?: AbortSignal;
}

export interface ApiAnswer<T> {
  readonly status: number;
  readonly headers: Headers;
  readonly body: T;
}

/**
 * Makes one call of the API. The type of the body is not verified, because the server belongs to the operator. Throws
 * ApiError for every unsuccessful response and `host_not_ready` without a response.
 */
export async function callApi<T>(api: ApiConnection, call: ApiCall): Promise<ApiAnswer<T>> {
  const response = await openApi(api, call);
  const text = await response.text().catch((error: unknown) => {
    throw unreachable(api, error);
  });
  const body = (text === '' ? undefined : JSON.parse(text)) as T;
  return { status: response.status, headers: response.headers, body };
}

/** The same, but the response body is still unread. */
export async function openApi(api: ApiConnection, call: ApiCall): Promise<Response> {
  const { accept, signal = AbortSignal.timeout(timeoutMs) } = call;
  const response = await fetch(urlOf(api, call), {
    method: call.method ?? 'GET',
    headers: {
      'x-api-key': api.key.reveal(),
      ...(call.body === undefined ? {} : { 'content-type': 'application/json' }),
      ...(accept === undefined ? {} : { accept }),
      ...(call.idempotencyKey === undefined ? {} : { [headers.idempotencyKey]: quotedKey(call.idempotencyKey) }),
    },
    signal,
    ...(call.body === undefined ? {} : { body: JSON.stringify(call.body) }),
  }).catch((error: unknown) => {
    throw unreachable(api, error);
  });
  if (!response.ok) throw errorFrom(response.status, await response.text());
  return response;
}

/** As a string of RFC 8941. Other characters than ASCII cannot be in a header. */
export function quotedKey(text: string): string {
  if (/^[\x20-\x7e]+$/.test(text)) return `"${text.replaceAll(/["\\]/g, String.raw`\$&`)}"`;
  throw new SoulBoxError('bad_request', 'An idempotency key must consist of visible ASCII characters.');
}

function unreachable(api: ApiConnection, error: unknown): SoulBoxError {
  // The error of Node's fetch only says that it failed; the reason is in its cause.
  const { cause = error } = error as { cause?: unknown };
  const why = cause instanceof Error ? cause.message : String(cause);
  return new SoulBoxError('host_not_ready', `${api.url} does not respond: ${why}`, { cause: error });
}

function urlOf(api: ApiConnection, { path, query = {} }: ApiCall): URL {
  const url = new URL(`${api.url}${path}`);
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined) url.searchParams.set(name, String(value));
  }
  return url;
}

/** The body is `{code, message}`. An intermediary, such as a proxy, may use another form. */
function errorFrom(status: number, text: string): ApiError {
  try {
    const body = JSON.parse(text) as { message?: unknown };
    if (typeof body.message === 'string') return new ApiError(status, body.message);
  } catch {
    // Handled below.
  }
  return new ApiError(status, `The server returned status ${status} without an error message.`);
}
