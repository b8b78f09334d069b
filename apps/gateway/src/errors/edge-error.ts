import { errorFromUnknown } from '@soulbox/base';
import { headers, httpStatusFromError } from '@soulbox/contract';

/**
 * An answer of the gateway itself. The JSON body has the fields in this order. The texts without a full stop are E2B's
 * and stay exactly as they are, because clients may compare them (spec/SOURCES.md, gateway).
 */
export type EdgeError =
  | { readonly sandboxId: string; readonly message: string; readonly code: number }
  | { readonly sandboxId: string; readonly message: string; readonly port: number; readonly code: number }
  | { readonly message: string; readonly path: string; readonly code: number }
  | { readonly code: number; readonly message: string };

export const sandboxNotFound = (sandboxId: string): EdgeError => ({
  sandboxId,
  message: 'The sandbox was not found',
  code: 502,
});

export const portNotOpen = (sandboxId: string, port: number): EdgeError => ({
  sandboxId,
  message: 'The sandbox is running but port is not open',
  port,
  code: 502,
});

export const badAnswer = (sandboxId: string, port: number): EdgeError => ({
  sandboxId,
  message: `Sandbox "${sandboxId}" is running, but the service on port ${port} closed the connection or did not answer with HTTP.`,
  port,
  code: 502,
});

export const stoppedForRoom = (sandboxId: string): EdgeError => ({
  sandboxId,
  message: `Sandbox "${sandboxId}" is stopped because the disk of its host is full. Retry later.`,
  code: 507,
});

export const trafficTokenMissing = (sandboxId: string): EdgeError => ({
  sandboxId,
  message: `Sandbox is secured with traffic access token. Token header '${headers.trafficAccessToken}' is missing`,
  code: 403,
});

export const trafficTokenInvalid = (sandboxId: string): EdgeError => ({
  sandboxId,
  message: `Sandbox is secured with traffic access token. Provided token in header '${headers.trafficAccessToken}' is invalid`,
  code: 403,
});

export const tooManyStreams = (sandboxId: string): EdgeError => ({
  sandboxId,
  message: `Sandbox "${sandboxId}" has too many open connections. Close some, or retry when some have ended.`,
  code: 429,
});

export const tooManyRequests: EdgeError = {
  code: 429,
  message: 'This API key or address has too many concurrent requests. Retry when some have finished.',
};

export const tooManySignatures: EdgeError = {
  code: 429,
  message:
    'Too many requests with signed URLs that do not name a sandbox. Retry in a moment, or name the sandbox in the host or a header.',
};

export const tooManyChecks: EdgeError = {
  code: 429,
  message: 'Too many requests with signed URLs, or with wrong signatures, came from this address. Retry in a moment.',
};

/** The answer for a signed URL that was refused, or could not be checked. */
export function signedUrlRefused(thrown: unknown): EdgeError {
  const error = errorFromUnknown(thrown);
  if (error.reason === 'internal') return internalFault;
  return { code: httpStatusFromError(error), message: error.message };
}

/** Only sent before the answer has begun. Later, the exchange is reset. */
export const signerEnded: EdgeError = { code: 401, message: 'Unauthorized, a key of the signed URL has ended.' };

export const unknownToken: EdgeError = {
  code: 502,
  message: 'The sandbox that this access token belongs to was not found.',
};

/** It is currently unknown whether the sandbox exists. */
export const runnerAway: EdgeError = {
  code: 503,
  message: 'The runner cannot be reached right now. Retry in a moment.',
};

export const internalFault: EdgeError = { code: 500, message: 'The gateway failed. The server log has the details.' };

/** The caller of a function's URL is a stranger. The error message of its code is only in its log. */
export function functionFault(name: string, thrown: unknown): EdgeError {
  const error = errorFromUnknown(thrown);
  if (error.reason === 'function_not_found') return { code: 404, message: `Function "${name}" was not found.` };
  if (error.reason === 'function_broken')
    return { code: 503, message: `Function "${name}" cannot be started. See its log for the reason.` };
  const status = httpStatusFromError(error);
  if (status === 429 || status === 503 || status === 507)
    return { code: status, message: `Function "${name}" cannot be started now: ${error.message}` };
  return { code: 502, message: `Function "${name}" cannot be reached. The server log has the details.` };
}

export const noServiceWorker: EdgeError = {
  code: 403,
  message: 'A service worker needs its own host name, such as fn-NAME or PORT-SANDBOX below the domain of the server.',
};

export const internalRoute = (path: string): EdgeError => ({ message: 'Route not found', path, code: 404 });
