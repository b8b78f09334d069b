/** Which levels there are, as the operator has set them. */
export interface CacheSettings {
  /** 0: no values are kept in memory. */
  readonly memoryMb: number;
  /** Without credentials. Empty: there is none. */
  readonly redis: string;
  /** Empty: there is none. */
  readonly http: string;
}

/** Without a level there is no cache, and nothing of it is loaded. */
export function hasCache({ memoryMb, redis, http }: CacheSettings): boolean {
  return memoryMb > 0 || redis !== '' || http !== '';
}

export { parseRedisUrl, redisUrlForms } from './redis/redis-url.ts';
export { parseHttpBase } from './http/http-base.ts';
