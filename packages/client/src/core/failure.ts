import type { ConnectError } from '@connectrpc/connect';
import { CallError, ownReasons } from './call-error.ts';
import type { CallErrorCode } from './call-error.ts';
import { parseRetryAfter } from './retry-after.ts';

/** What is known about a failed attempt. */
export interface Failure {
  readonly code: CallErrorCode;
  readonly reason: string;
  readonly message: string;
  /** The same attempt may succeed later. */
  readonly isTransient: boolean;
  /** Nothing of the call has happened at the server. False if that is not certain. */
  readonly hadNoEffect: boolean;
  /** The server is away, silent or overloaded. Such failures open the circuit breaker. */
  readonly isOutage: boolean;
  /** The server itself has answered, so it works, whatever it says. */
  readonly isAnswer?: boolean;
  readonly retryAfterMs?: number | undefined;
  readonly requestId?: string | undefined;
  readonly status?: number | undefined;
  readonly cause: unknown;
}

/** An unsuccessful response, as far as failures are judged by it. */
export interface FailedResponse {
  readonly status: number;
  readonly headers: Headers;
  readonly message: string;
  readonly reason?: string;
}

/** Headers of the server, see `packages/contract`. */
const requestIdHeader = 'x-request-id';
const reasonHeader = 'x-soulbox-reason';

/** Judges an unsuccessful HTTP response. */
export function failureFromResponse({ status, headers, message, reason }: FailedResponse): Failure {
  const retryAfterMs = parseRetryAfter(headers.get('retry-after'));
  const given = reason ?? headers.get(reasonHeader) ?? undefined;
  const isOutage = outageStatuses.has(status) && isOfServer(given);
  return {
    code: codeFromStatus(status),
    reason: given ?? `status_${status}`,
    message,
    isTransient: transientStatuses.has(status) || (status === 429 && retryAfterMs !== undefined),
    hadNoEffect: refusedStatuses.has(status),
    ...{ isOutage, isAnswer: !isOutage },
    retryAfterMs,
    requestId: headers.get(requestIdHeader) ?? undefined,
    status,
    cause: undefined,
  };
}

/** 429 without `Retry-After` says that a quota is used up, which waiting does not change. */
const transientStatuses: ReadonlySet<number> = new Set([408, 425, 502, 503, 504]);
/** The server has not acted on the request (RFC 9110, 15.5.9; RFC 8470, 5.2; RFC 6585, 4). */
const refusedStatuses: ReadonlySet<number> = new Set([408, 425, 429]);
const outageStatuses: ReadonlySet<number> = new Set([502, 503, 504]);

/**
 * Reasons that tell of the whole server. Every other one tells of one sandbox, for example a paused one, and comes from
 * a server that works. An outage without a reason comes from a proxy.
 */
const serverReasons: ReadonlySet<string> = new Set(['shutting_down', 'control_unavailable', 'runner_unavailable']);

function isOfServer(reason: string | undefined): boolean {
  return reason === undefined || serverReasons.has(reason);
}

function codeFromStatus(status: number): CallErrorCode {
  return codeByStatus[status] ?? (status >= 500 ? 'internal' : 'invalid_argument');
}

const codeByStatus: Readonly<Record<number, CallErrorCode>> = {
  401: 'unauthenticated',
  403: 'permission_denied',
  404: 'not_found',
  408: 'unavailable',
  409: 'failed_precondition',
  425: 'unavailable',
  429: 'resource_exhausted',
  501: 'unimplemented',
  502: 'unavailable',
  503: 'unavailable',
  504: 'deadline_exceeded',
};

/** Judges anything that an attempt threw. */
export function failureFromThrown(thrown: unknown): Failure {
  if (thrown instanceof AttemptFailed) return thrown.failure;
  if (thrown instanceof CallError) return failureFromCallError(thrown);
  if (isConnectError(thrown) && thrown.cause instanceof CallError) return failureFromThrown(thrown.cause);
  if (isAbort(thrown)) return abortedFailure(thrown);
  const network = findNetworkFault(thrown);
  if (network !== undefined) return { ...network, cause: thrown };
  if (isConnectError(thrown) && isCut(thrown) && !isRefusedStream(thrown))
    return { ...brokenConnection(thrown, false), cause: thrown };
  if (isConnectError(thrown)) return failureFromConnect(thrown);
  return {
    code: 'unknown',
    reason: ownReasons.unknown,
    message: thrown instanceof Error ? thrown.message : String(thrown),
    ...{ isTransient: false, hadNoEffect: false, isOutage: false },
    cause: thrown,
  };
}

/** Thrown by an attempt that has judged its failure itself. */
export class AttemptFailed extends Error {
  override readonly name = 'AttemptFailed';
  readonly failure: Failure;

  constructor(failure: Failure) {
    super(failure.message, { cause: failure.cause });
    this.failure = failure;
  }
}

/** `isSafeToRepeat`: the call may take effect twice without harm. */
export function errorFromFailure(failure: Failure, isSafeToRepeat: boolean): CallError {
  const { code, reason, message, requestId, retryAfterMs, status, cause } = failure;
  const retryable = mayRepeat(failure, isSafeToRepeat);
  if (cause instanceof CallError && cause.retryable === retryable) return cause;
  const error = new CallError(message, { code, reason, requestId, retryable, retryAfterMs, status, cause });
  failures.set(error, failure);
  return error;
}

/** What an error was made from: it says more than the error, which was judged for one call. */
const failures = new WeakMap<CallError, Failure>();

export function mayRepeat({ isTransient, hadNoEffect }: Failure, isSafeToRepeat: boolean): boolean {
  return isTransient && (hadNoEffect || isSafeToRepeat);
}

function failureFromCallError(error: CallError): Failure {
  const known = failures.get(error);
  if (known !== undefined) return known;
  const { code, reason, message, retryable, retryAfterMs, requestId, status } = error;
  const facts = { isTransient: retryable, hadNoEffect: retryable, isOutage: false };
  return { code, reason, message, ...facts, retryAfterMs, requestId, status, cause: error };
}

/** As `instanceof ConnectError`, which would load all of Connect for callers that only use HTTP. */
function isConnectError(thrown: unknown): thrown is ConnectError {
  return thrown instanceof Error && thrown.name === 'ConnectError' && 'rawMessage' in thrown && 'metadata' in thrown;
}

function isAbort(thrown: unknown): boolean {
  return (
    (thrown instanceof Error && thrown.name === 'AbortError') ||
    (isConnectError(thrown) && codeOf(thrown) === 'canceled' && !isCut(thrown))
  );
}

function abortedFailure(thrown: unknown): Failure {
  const facts = { isTransient: false, hadNoEffect: false, isOutage: false };
  return { code: 'canceled', reason: ownReasons.aborted, message: 'The call was aborted.', ...facts, cause: thrown };
}

function failureFromConnect(error: ConnectError): Failure {
  const retryAfterMs = parseRetryAfter(error.metadata.get('retry-after'));
  const isRefused = isRefusedStream(error);
  const code = codeOf(error);
  const isAway = code === 'unavailable';
  const isLate = code === 'deadline_exceeded';
  const given = error.metadata.get(reasonHeader) ?? undefined;
  const isOutage = ((isAway && !isRefused) || isLate) && isOfServer(given);
  return {
    code,
    reason: given ?? (isLate ? ownReasons.timeout : code),
    message: error.rawMessage,
    isTransient: isAway || isLate || (code === 'resource_exhausted' && retryAfterMs !== undefined),
    hadNoEffect: isRefused || code === 'resource_exhausted',
    ...{ isOutage, isAnswer: !isOutage && (given !== undefined || answerCodes.has(code)) },
    retryAfterMs,
    requestId: error.metadata.get(requestIdHeader) ?? undefined,
    cause: error,
  };
}

/** Of decisions that only the server can make. */
const answerCodes: ReadonlySet<CallErrorCode> = new Set([
  ...(['not_found', 'already_exists', 'permission_denied', 'unauthenticated', 'failed_precondition'] as const),
  ...(['out_of_range', 'resource_exhausted', 'unimplemented'] as const),
]);

/**
 * A connection broke, or a proxy ended the response early. Connect gives such errors various codes, such as that for
 * wrong arguments, and no better mark than their text.
 */
function isCut({ rawMessage }: ConnectError): boolean {
  return cutMessages.some((text) => rawMessage.startsWith(text));
}

const cutMessages = [
  'http/2 stream closed with error code',
  'protocol error: incomplete envelope',
  'protocol error: missing',
] as const;

/** RFC 9113, 8.7: the server has not processed a refused stream. connect-node reports the code in its text only. */
function isRefusedStream(error: ConnectError): boolean {
  return codeOf(error) === 'unavailable' && error.rawMessage.includes('REFUSED_STREAM');
}

/** Connect's codes, which are those of gRPC, from 1 on. */
const codes: readonly CallErrorCode[] = [
  'canceled',
  'unknown',
  'invalid_argument',
  'deadline_exceeded',
  'not_found',
  'already_exists',
  'permission_denied',
  'resource_exhausted',
  'failed_precondition',
  'aborted',
  'out_of_range',
  'unimplemented',
  'internal',
  'unavailable',
  'data_loss',
  'unauthenticated',
];

function codeOf({ code }: ConnectError): CallErrorCode {
  return codes[code - 1] ?? 'unknown';
}

/** Facts that the errors of Node, Bun and Deno carry. */
interface SystemError {
  readonly code?: unknown;
  readonly syscall?: unknown;
  readonly cause?: unknown;
  readonly errors?: unknown;
}

/** Looks for an error of the network among the causes. Their number is limited, because causes can form a circle. */
function findNetworkFault(thrown: unknown): Omit<Failure, 'cause'> | undefined {
  let next: unknown = thrown;
  for (let depth = 0; depth < 8 && next instanceof Error; depth++) {
    const { code, syscall, cause, errors } = next as SystemError;
    const word = typeof code === 'string' ? code : '';
    const isUnsent = syscall === 'connect' || syscall === 'getaddrinfo' || unsentCodes.has(word);
    if (isUnsent || brokenCodes.has(word) || brokenMessages.has(next.message)) return brokenConnection(next, isUnsent);
    if (next instanceof DOMException && next.name === 'TimeoutError') return noResponse(next.message);
    // Of a connection that was tried at several addresses, the last one is as good as any.
    next = cause ?? (Array.isArray(errors) ? (errors as unknown[]).at(-1) : undefined);
  }
  if (!(thrown instanceof TypeError) || !fetchMessages.has(thrown.message)) return undefined;
  // Node's own message only says that it failed; the reason is in the cause.
  return brokenConnection(thrown.cause instanceof Error ? thrown.cause : thrown, false);
}

/** No connection was made, so nothing was sent. */
const unsentCodes: ReadonlySet<string> = new Set([
  ...['ENOTFOUND', 'EAI_AGAIN', 'ECONNREFUSED', 'UND_ERR_CONNECT_TIMEOUT'],
]);
const brokenCodes: ReadonlySet<string> = new Set([
  ...['ECONNRESET', 'ECONNABORTED', 'EPIPE', 'ETIMEDOUT', 'EHOSTUNREACH', 'ENETUNREACH', 'UND_ERR_SOCKET'],
  ...['ERR_HTTP2_SESSION_ERROR', 'ERR_HTTP2_STREAM_CANCEL', 'ERR_HTTP2_GOAWAY_SESSION', 'ERR_STREAM_PREMATURE_CLOSE'],
  ...['ERR_HTTP2_INVALID_SESSION', 'UND_ERR_HEADERS_TIMEOUT', 'UND_ERR_BODY_TIMEOUT', 'HPE_INVALID_EOF_STATE'],
]);
const brokenMessages: ReadonlySet<string> = new Set(['aborted', 'terminated', 'socket hang up']);
/** Browsers and Deno say no more than this. */
const fetchMessages: ReadonlySet<string> = new Set([
  ...['fetch failed', 'Failed to fetch', 'Load failed', 'NetworkError when attempting to fetch resource.'],
  'network error',
]);

function brokenConnection(fault: Error, hadNoEffect: boolean): Omit<Failure, 'cause'> {
  const message = fault.message === '' ? String((fault as SystemError).code) : fault.message;
  const facts = { isTransient: true, hadNoEffect, isOutage: true };
  return { code: 'unavailable', reason: ownReasons.unreachable, message, ...facts };
}

function noResponse(message: string): Omit<Failure, 'cause'> {
  const facts = { isTransient: true, hadNoEffect: false, isOutage: true };
  return { code: 'deadline_exceeded', reason: ownReasons.timeout, message, ...facts };
}
