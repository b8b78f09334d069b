import rateLimit from '@fastify/rate-limit';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { addressGroup, SoulBoxError } from '@soulbox/base';
import type { ApiConfig } from '../config.ts';
import { addressOf } from '../actor.ts';

const windowMs = 10_000;
/** Limit of keys and addresses that are counted at the same time. The least recently used is dropped. */
const countedMax = 10_000;

/** Limits the request rate of each address and each key. Throws `rate_exceeded` and sets `Retry-After`. */
export interface RequestRates {
  /** Called before any lookup. */
  checkAddress(request: FastifyRequest, reply: FastifyReply): Promise<void>;
  /** Called when the caller is known. */
  checkKey(request: FastifyRequest, reply: FastifyReply): Promise<void>;
}

export async function createRequestRates(app: FastifyInstance, config: ApiConfig): Promise<RequestRates> {
  await app.register(rateLimit, { global: false, cache: countedMax });

  const limiter = (max: number, what: string, nameOf: (request: FastifyRequest) => string) => {
    const keyGenerator = (request: FastifyRequest): string => `${what} ${nameOf(request)}`;
    const count = app.createRateLimit({ max, timeWindow: windowMs, keyGenerator });
    return async (request: FastifyRequest, reply: FastifyReply): Promise<void> => {
      if (max === 0) return;
      const state = await count(request);
      if (state.isAllowed || !state.isExceeded) return;
      void reply.header('retry-after', String(Math.max(1, state.ttlInSeconds)));
      throw new SoulBoxError(
        'rate_exceeded',
        `This ${what} sent more than ${max} requests within ${windowMs / 1000} s. Retry in a moment.`,
      );
    };
  };
  return {
    checkAddress: limiter(config.addressRequestRate, 'address', (request) => addressGroup(addressOf(request))),
    checkKey: limiter(config.keyRequestRate, 'API key', (request) => request.caller?.keyId ?? ''),
  };
}
