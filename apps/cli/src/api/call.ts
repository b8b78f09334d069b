import { SoulBoxError } from '@soulbox/base';
import { CallError, createHosts, createHttpCalls, createTarget, noRetries } from '@soulbox/client';
import type { HttpCall, HttpCalls, RetryPolicy, Target } from '@soulbox/client';
import { headers } from '@soulbox/contract';
import { withHint } from '../command-line/hints.ts';
import { readSetting } from '../settings/read-setting.ts';
import { ApiError } from './api-error.ts';
import { connectionEvents } from './connection-events.ts';
import type { ApiConnection } from './connection.ts';
import { hintForAnswer, hintForSilence } from './hints.ts';

// Saving or copying a large memory takes seconds per GiB.
const timeoutMs = 600_000;

/** After so long without a response, a connection counts as dead: 30 s for a sign of life, and 10 s that it may be late. */
const readMs = 40_000;

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
  /** The caller has its own rules for repetitions. */
  readonly isMadeOnce?: boolean;
}

export interface ApiAnswer<T> {
  readonly status: number;
  readonly headers: Headers;
  readonly body: T;
}

/**
 * Makes one call of the API, again if that is safe and can help. The type of the body is not verified, because the
 * server belongs to the operator. Throws ApiError for every unsuccessful response and `host_not_ready` without a
 * response.
 */
export async function callApi<T>(api: ApiConnection, call: ApiCall): Promise<ApiAnswer<T>> {
  // Reading takes no time at the server. Changing something can, for example to save a memory.
  const limit = (call.method ?? 'GET') === 'GET' ? { attemptTimeoutMs: readMs } : {};
  const request = { ...requestFrom(api, call), ...limit };
  const { status, headers: answered, text } = await callsOf(api).call(request).catch(rethrow(api));
  const body = (text === '' ? undefined : JSON.parse(text)) as T;
  return { status, headers: answered, body };
}

/** The same, but the response body is still unread. */
export async function openApi(api: ApiConnection, call: ApiCall): Promise<Response> {
  return await callsOf(api).open(requestFrom(api, call)).catch(rethrow(api));
}

/** The same, once, with the errors of the client: for callers with their own way to repeat it. */
export async function openOnce(api: ApiConnection, call: ApiCall): Promise<Response> {
  return await callsOf(api).open(requestFrom(api, { ...call, isMadeOnce: true }));
}

/** The wait between attempts is short: a person looks on. */
export const retryPolicy = (): Partial<RetryPolicy> => ({
  attempts: Number(readSetting('retry-attempts')),
  initialDelayMs: 100,
  maxDelayMs: 2000,
});

/** What all calls to this server share. */
export function targetOf(api: ApiConnection): Target {
  const known = targets.get(api);
  if (known !== undefined) return known;
  const { origin } = new URL(api.url);
  const target = createTarget({
    ...{ name: origin, retry: retryPolicy(), events: connectionEvents, breaker: hostOf(origin).breakerOf('api') },
  });
  targets.set(api, target);
  return target;
}

/** Of calls to sandboxes behind one gateway, whose failures say nothing about the API. */
export function sandboxTarget(url: string, retry: Partial<RetryPolicy> = retryPolicy()): Target {
  const { origin } = new URL(url);
  const breaker = hostOf(origin).breakerOf('sandboxes');
  return createTarget({ name: origin, retry, events: connectionEvents, breaker });
}

/**
 * A command makes few calls at the same time. Those that repeat calls for minutes learn after 3 s at the latest that a
 * server is back.
 */
const hostOf = createHosts({ callsMax: 64, streamsMax: 64, breaker: { openMaxMs: 3000 } });

const targets = new WeakMap<ApiConnection, Target>();

function callsOf(api: ApiConnection): HttpCalls {
  const { slots, streamSlots } = hostOf(new URL(api.url).origin);
  return createHttpCalls({ target: targetOf(api), slots, streamSlots, readError });
}

function requestFrom(api: ApiConnection, call: ApiCall): HttpCall {
  const { method = 'GET', accept, idempotencyKey, body } = call;
  return {
    method,
    url: urlOf(api, call),
    headers: {
      'x-api-key': api.key.reveal(),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...(accept === undefined ? {} : { accept }),
      ...(idempotencyKey === undefined ? {} : { [headers.idempotencyKey]: quotedKey(idempotencyKey) }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    idempotencyKey,
    signal: call.signal ?? AbortSignal.timeout(timeoutMs),
    ...(call.isMadeOnce === true ? { retry: noRetries } : {}),
  };
}

/** As a string of RFC 8941. Other characters than ASCII cannot be in a header. */
export function quotedKey(text: string): string {
  if (/^[\x20-\x7e]+$/.test(text)) return `"${text.replaceAll(/["\\]/g, String.raw`\$&`)}"`;
  throw new SoulBoxError('bad_request', 'An idempotency key must consist of visible ASCII characters.');
}

export function rethrow(api: ApiConnection): (error: unknown) => never {
  return (error) => {
    if (error instanceof CallError && error.status !== undefined) throw apiErrorFrom(api, error, error.status);
    throw unreachable(api, error);
  };
}

function apiErrorFrom(api: ApiConnection, { reason, message, requestId }: CallError, status: number): ApiError {
  // The client names a response without a reason after its status.
  const error = new ApiError(status, message, { requestId, ...(reason.startsWith('status_') ? {} : { reason }) });
  return withHint(error, hintForAnswer(api, status, error.reason));
}

export function unreachable(api: ApiConnection, error: unknown): SoulBoxError {
  // The error of Node's fetch only says that it failed; the reason is in its cause.
  const cause = error instanceof TypeError && error.cause !== undefined ? error.cause : error;
  const why = cause instanceof Error ? cause.message : String(cause);
  const silent = new SoulBoxError('host_not_ready', `${api.url} does not respond: ${why}`, { cause: error });
  return withHint(silent, hintForSilence(api));
}

export function urlOf(api: ApiConnection, { path, query = {} }: ApiCall): URL {
  const url = new URL(`${api.url}${path}`);
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined) url.searchParams.set(name, String(value));
  }
  return url;
}

/** The body is `{code, message}`. An intermediary, such as a proxy, may use another form. */
export function readError(status: number, text: string): { readonly message: string } {
  try {
    const body = JSON.parse(text) as { message?: unknown };
    if (typeof body.message === 'string') return { message: body.message };
  } catch {
    // Handled below.
  }
  return { message: `The server returned status ${status} without an error message.` };
}
