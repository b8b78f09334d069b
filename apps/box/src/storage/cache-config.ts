import { z } from 'zod';
import { key, wholeNumber } from '@soulbox/base/config';
import type { ConfigOf } from '@soulbox/base';
import { parseHttpBase, parseRedisUrl } from '@soulbox/cache/settings';

/** From where objects of the store are read instead of the store. */
export const cacheConfigSchema = {
  memoryMb: key(
    'SOULBOX_CACHE_MEMORY_MB',
    wholeNumber(0, 1024 * 1024),
    0,
    'MiB of memory in which the process `objects` keeps objects that it has read from the store (docs/cache.md). 0: none.',
  ),
  redis: key(
    'SOULBOX_CACHE_REDIS',
    z.string(),
    '',
    'URL of a Redis or Valkey server in which hosts share objects of the store, such as `rediss://HOST:6379` (docs/cache.md). Empty: none.',
  ),
  redisCredentialsFile: key(
    'SOULBOX_CACHE_REDIS_CREDENTIALS_FILE',
    z.string().refine((path) => path === '' || path.startsWith('/'), 'must be an absolute path'),
    '',
    'JSON file with `password`, and optionally `username` and `ca`, for that server (mode 0600). SoulBox gives it to the user of the process that reads it. Empty: it needs no password.',
  ),
  http: key(
    'SOULBOX_CACHE_HTTP',
    z.string(),
    '',
    'URL of a CDN or a caching proxy in front of the store, from which objects are read by signed URLs (docs/cache.md). Empty: none.',
  ),
} as const;

export type CacheConfig = ConfigOf<typeof cacheConfigSchema>;

/** Settings that make no sense together, and URLs that are not valid. */
export function findCacheFaults(
  { memoryMb, redis, redisCredentialsFile, http }: CacheConfig,
  storage: string,
): string[] {
  const faults: string[] = [];
  const set = {
    SOULBOX_CACHE_MEMORY_MB: memoryMb > 0,
    SOULBOX_CACHE_REDIS: redis !== '',
    SOULBOX_CACHE_HTTP: http !== '',
  };
  for (const [name, isSet] of Object.entries(set))
    if (isSet && storage === '') faults.push(`${name}: only useful with SOULBOX_STORAGE`);
  if (redis === '' && redisCredentialsFile !== '')
    faults.push('SOULBOX_CACHE_REDIS_CREDENTIALS_FILE: only useful with SOULBOX_CACHE_REDIS');
  if (redis !== '') faults.push(...faultOf('SOULBOX_CACHE_REDIS', () => parseRedisUrl(redis)));
  if (http !== '') faults.push(...faultOf('SOULBOX_CACHE_HTTP', () => parseHttpBase(http)));
  if (http !== '' && storage.startsWith('file:'))
    faults.push('SOULBOX_CACHE_HTTP: a store on local disk has no signed URLs');
  return faults;
}

function faultOf(name: string, parse: () => unknown): string[] {
  try {
    parse();
    return [];
  } catch (thrown) {
    return [`${name}: ${thrown instanceof Error ? thrown.message : String(thrown)}`];
  }
}
