import { createHosts, createHttpCalls, createTarget, noRetries } from '@soulbox/client';
import type { ClientEvents, Host, HttpCalls, RetryPolicy, Target } from '@soulbox/client';
import { SoulBoxError } from './error.ts';
import { eventsFor } from './events.ts';
import type { ConnectionEvent } from './events.ts';

/**
 * How calls reach the server. The variables and `apiKey`, `domain`, `apiUrl`, `sandboxUrl`, `requestTimeoutMs`,
 * `retries`, `headers` and `signal` are those of e2b 2.51.0. An empty text counts as absent. Values out of range throw
 * `config_invalid`.
 */
export interface ConnectionOptions {
  /** The API key of the team. Default: `E2B_API_KEY`. A call of the API without one throws `config_invalid`. */
  readonly apiKey?: string | undefined;
  /**
   * The domain of the server: its API is `https://api.DOMAIN`, a port of a sandbox is `https://PORT-ID.DOMAIN`.
   * Default: `E2B_DOMAIN`. Unlike e2b 2.51.0, there is no further default.
   */
  readonly domain?: string | undefined;
  /**
   * The URL of the API, with `http` or `https`. Default: `https://api.DOMAIN` for a given `domain`, otherwise
   * `E2B_API_URL`, otherwise `https://api.DOMAIN` for `E2B_DOMAIN`.
   */
  readonly apiUrl?: string | undefined;
  /**
   * One URL for the traffic of all sandboxes, which headers name. Default: `E2B_SANDBOX_URL`, otherwise host names
   * below `domain`, otherwise `apiUrl`. With the option `apiUrl` or `domain`, the variables
   * `E2B_API_URL`, `E2B_DOMAIN` and `E2B_SANDBOX_URL` do not apply.
   */
  readonly sandboxUrl?: string | undefined;
  /**
   * How long one call may take with its repetitions, in milliseconds. 0: no limit. Default: 60,000. Then the call
   * throws `timeout`. Output streams, watches, runs and exports are not limited by it once they have begun.
   */
  readonly requestTimeoutMs?: number | undefined;
  /**
   * How often a call is repeated if that is safe and can help, 0 to 99. Default: 3. Safe are reads, writes with a
   * position, calls with an `idempotencyKey`, and calls that cannot have reached the server. `Retry-After` is
   * respected. Output and input of a running process are repeated for 60 s, whatever this says.
   */
  readonly retries?: number | undefined;
  /** Further headers for requests to the API. They are not sent to sandboxes. Default: none. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Ends the call with code `canceled` and reason `aborted`. What the server has begun goes on. Default: none. */
  readonly signal?: AbortSignal | undefined;
  /** Replaces the global `fetch`, for example to use a proxy. Default: the global one at the time of the call. */
  readonly fetch?: typeof fetch | undefined;
  /**
   * Called at once with what happens to connections: repetitions, waits, resumed streams, the circuit breaker. An error
   * that it throws ends no call, and is reported as an uncaught one. Default: none.
   */
  readonly onEvent?: ((event: ConnectionEvent) => void) | undefined;
}

/** The options of one call on an object that already has a connection. Absent ones are those of the object. */
export type RequestOptions = Pick<ConnectionOptions, 'requestTimeoutMs' | 'signal'>;

/** The one sandbox that a connection is for. @internal */
interface OfSandbox {
  /** Of its host names, if there are any. */
  readonly domain: string | undefined;
}

/** Options with all defaults filled in. @internal */
export interface Connection {
  readonly options: ConnectionOptions;
  readonly apiUrl: string;
  readonly apiKey: string | undefined;
  readonly domain: string | undefined;
  readonly ofSandbox: OfSandbox | undefined;
  readonly sandboxUrl: string | undefined;
  /** Undefined: no limit. */
  readonly requestTimeoutMs: number | undefined;
  readonly headers: Readonly<Record<string, string>>;
  readonly retry: Partial<RetryPolicy>;
  readonly events: ClientEvents;
  readonly calls: HttpCalls;
  readonly target: Target;
  /** Of the API. */
  readonly host: Host;
  readonly fetch: typeof fetch;
}

const connectionKeys = [
  ...([
    'apiKey',
    'domain',
    'apiUrl',
    'sandboxUrl',
    'requestTimeoutMs',
    'retries',
    'headers',
    'signal',
    'fetch',
    'onEvent',
  ] as const),
];
/**
 * For each host, shared by the whole program: an outage is noticed and waited out once. Many programs start all that
 * they have at once, so many calls may wait. `breaker`: a server that is back is noticed after 5 s at the latest.
 *
 * @internal
 */
export const hostOf = createHosts({
  callsMax: 256,
  streamsMax: 1024,
  waiting: { waitingMax: 10_000, waitMs: 30_000 },
  breaker: { openMaxMs: 5000 },
});
/**
 * After so long without a response, a connection counts as dead: 30 s for a sign of life, and 10 s that it may be late.
 *
 * @internal
 */
export const silenceMs = 40_000;
const defaultRequestTimeoutMs = 60_000;
const defaultRetries = 3;
/** The longest time that timers of JavaScript keep; beyond it they fire at once. */
const timerMaxMs = 2 ** 31 - 1;

/** Throws `config_invalid` for a URL that is none and for numbers out of their range. @internal */
export function connectionFrom(options: ConnectionOptions = {}, ofSandbox?: OfSandbox): Connection {
  // Of another server, variables would lead traffic and its tokens to the wrong one.
  const fromVariables = namesServer(options) ? (): undefined => undefined : variable;
  const domain = filled(options.domain) ?? fromVariables('E2B_DOMAIN');
  const sandboxUrlText = filled(options.sandboxUrl) ?? fromVariables('E2B_SANDBOX_URL');
  const apiUrlText = filled(options.apiUrl) ?? fromVariables('E2B_API_URL');
  // Without an API, a handle still reaches its sandbox.
  const lastResort = ofSandbox === undefined ? undefined : sandboxUrlText;
  const apiUrl = parseUrl('apiUrl', apiUrlFrom(apiUrlText, domain ?? ofSandbox?.domain, lastResort));
  const { requestTimeoutMs = defaultRequestTimeoutMs, retries = defaultRetries } = options;
  if (!Number.isInteger(retries) || retries < 0 || retries > 99)
    throw invalid('retries', 'must be a whole number from 0 to 99');
  const retry = retries === 0 ? noRetries : { attempts: retries + 1 };
  const send: typeof fetch = options.fetch ?? (async (...request) => await fetch(...request));
  const events = eventsFor(options.onEvent);
  const { origin } = new URL(apiUrl);
  const host = hostOf(origin);
  const target = createTarget({ name: origin, retry, events, breaker: host.breakerOf('api') });
  return {
    options,
    apiUrl,
    apiKey: filled(options.apiKey) ?? variable('E2B_API_KEY'),
    ...{ domain, ofSandbox },
    sandboxUrl: sandboxUrlText === undefined ? undefined : parseUrl('sandboxUrl', sandboxUrlText),
    requestTimeoutMs: timeLimit('requestTimeoutMs', requestTimeoutMs),
    headers: options.headers ?? {},
    ...{ retry, events, target, host, fetch: send },
    calls: createHttpCalls({ target, slots: host.slots, streamSlots: host.streamSlots, fetch: send, readError }),
  };
}

/** The same connection with other options where the caller has given some. @internal */
export function withOptions(connection: Connection, options: ConnectionOptions | undefined): Connection {
  const keys = connectionKeys.filter((key) => options?.[key] !== undefined);
  if (options === undefined || keys.length === 0) return connection;
  if (keys.every((key) => key === 'signal' || key === 'requestTimeoutMs')) {
    return {
      ...connection,
      options: { ...connection.options, signal: options.signal ?? connection.options.signal },
      requestTimeoutMs: limitOf(connection, options),
    };
  }
  const given = Object.fromEntries(keys.map((key) => [key, options[key]]));
  return connectionFrom({ ...connection.options, ...given }, connection.ofSandbox);
}

/** Ends with the caller's signal and after the time of one request. @internal */
export function requestSignal(connection: Connection, options: RequestOptions = {}): AbortSignal | undefined {
  const { signal = connection.options.signal } = options;
  const limitMs = limitOf(connection, options);
  const limit = limitMs === undefined ? undefined : AbortSignal.timeout(limitMs);
  if (signal === undefined) return limit;
  return limit === undefined ? signal : AbortSignal.any([signal, limit]);
}

function limitOf(connection: Connection, { requestTimeoutMs }: RequestOptions): number | undefined {
  return requestTimeoutMs === undefined ? connection.requestTimeoutMs : timeLimit('requestTimeoutMs', requestTimeoutMs);
}

/** In whole milliseconds. Undefined: no limit. Throws `config_invalid`. @internal */
export function timeLimit(name: string, ms: number, maxMs = timerMaxMs): number | undefined {
  if (!(ms >= 0 && ms <= maxMs)) throw invalid(name, `must be 0 (no limit) to ${maxMs} milliseconds, and is ${ms}`);
  return ms === 0 ? undefined : Math.ceil(ms);
}

/** Throws `config_invalid`. @internal */
export function wholeNumber(name: string, value: number): number {
  if (Number.isSafeInteger(value) && value >= 0) return value;
  throw invalid(name, `must be a whole number from 0, and is ${value}`);
}

function namesServer({ apiUrl, domain }: ConnectionOptions): boolean {
  return filled(apiUrl) !== undefined || filled(domain) !== undefined;
}

function apiUrlFrom(given: string | undefined, domain: string | undefined, lastResort: string | undefined): string {
  const url = given ?? (domain === undefined ? lastResort : `https://api.${domain}`);
  if (url !== undefined) return url;
  throw new SoulBoxError(
    'No server is named. Pass apiUrl or domain, or set E2B_API_URL. The command "soulbox env" prints the variables.',
    { code: 'invalid_argument', reason: 'config_invalid' },
  );
}

function parseUrl(name: string, text: string): string {
  if (!URL.canParse(text) || !/^https?:$/.test(new URL(text).protocol))
    throw invalid(name, `must be a URL of http or https, and is ${JSON.stringify(text)}`);
  return text.replace(/\/+$/, '');
}

function invalid(name: string, fault: string): SoulBoxError {
  return new SoulBoxError(`${name} ${fault}.`, { code: 'invalid_argument', reason: 'config_invalid' });
}

function filled(text: string | undefined): string | undefined {
  return text === '' ? undefined : text;
}

/** A browser has no environment, and Deno may refuse to read it. */
function variable(name: string): string | undefined {
  try {
    const { process } = globalThis as { process?: { env?: Record<string, string | undefined> } };
    return filled(process?.env?.[name]);
  } catch {
    return undefined;
  }
}

/** The body is `{code, message}`. A proxy may send another one. The reason is in a header. */
function readError(status: number, text: string): { readonly message: string } {
  try {
    const body = JSON.parse(text) as { message?: unknown };
    if (typeof body.message === 'string') return { message: body.message };
  } catch {
    // Handled below.
  }
  return { message: `The server returned status ${status} without an error message.` };
}
