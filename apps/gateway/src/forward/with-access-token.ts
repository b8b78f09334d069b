import { headers as names } from '@soulbox/contract';
import type { SandboxRoute } from '@soulbox/contract';
import type { Exchange } from '../exchange/exchange.ts';

/** Adds the access token of the sandbox to a request that a signed URL has allowed. The client has sent none. */
export function withAccessToken(exchange: Exchange, { envdAccessToken }: SandboxRoute): Exchange {
  if (envdAccessToken === undefined) return exchange;
  const headers = [...exchange.headers, names.accessToken, envdAccessToken.reveal()];
  return Object.create(exchange, { headers: { value: headers, enumerable: true } }) as Exchange;
}
