import { constantTimeEqual } from '@soulbox/base';
import { envdPort, fileSignature, headers as names } from '@soulbox/contract';
import type { SandboxRoute } from '@soulbox/contract';
import { findHeader } from '../exchange/exchange.ts';
import type { Exchange } from '../exchange/exchange.ts';
import { parseSignedFile } from './signed-file.ts';

/**
 * Whether a request for a paused sandbox presents the credentials that envd would require: the access token, or a
 * signature that has not expired. envd itself cannot be asked, and a stranger must not be able to wake somebody's
 * sandbox. Other ports have the traffic token, which is checked for every request.
 */
export function mayWake(
  exchange: Pick<Exchange, 'method' | 'headers'>,
  request: { route: SandboxRoute; port: number; path: string },
  now: number,
): boolean {
  const { route } = request;
  if (request.port !== envdPort || route.envdAccessToken === undefined) return true;
  const token = findHeader(exchange.headers, names.accessToken);
  if (token !== undefined) return route.envdAccessToken.equals(token);
  const signed = parseSignedFile(exchange, request.path);
  if (signed === undefined || isExpired(signed.file.expiration, now)) return false;
  return constantTimeEqual(fileSignature(signed.file, route.envdAccessToken.reveal()), signed.signature);
}

/** As in envd, a value that is not a number counts as expired. */
function isExpired(expirationSeconds: string | undefined, now: number): boolean {
  return expirationSeconds !== undefined && !(Number(expirationSeconds) * 1000 >= now);
}
