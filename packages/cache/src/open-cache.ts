import { SoulBoxError } from '@soulbox/base';
import type { Logger } from '@soulbox/base';
import { createCache } from './create-cache.ts';
import type { Cache, CacheFigures, Source } from './create-cache.ts';
import { createFrequencySketch } from './frequency-sketch.ts';
import type { FrequencySketch } from './frequency-sketch.ts';
import type { Level } from './level.ts';
import { createMemoryLevel } from './memory-level.ts';
import { startReadAhead } from './read-ahead.ts';
import type { RedisCredentials } from './redis/redis-connection.ts';
import type { RedisLevel } from './redis/redis-level.ts';
import { parseHttpBase, parseRedisUrl } from './settings.ts';
import type { CacheSettings } from './settings.ts';
import { watchLevel } from './watched-level.ts';

export interface CacheParts {
  readonly source: Source;
  /** Signs a URL of the source, for the level that is reached by HTTP. */
  readonly sign: (key: string, signal: AbortSignal) => Promise<string>;
  /** Of Redis. Called for each connection. Absent: none are needed. */
  readonly credentials?: (() => Promise<Readonly<Record<string, unknown>>>) | undefined;
  readonly valueMaxBytes: number;
  readonly logger: Logger;
}

/** A cache that also reads ahead. */
export type OpenCache = Pick<Cache, 'get' | 'delete'> & { figures(): CacheFigures } & AsyncDisposable;

const mib = 1024 * 1024;

/** Opens the levels of the settings, and loads no others. Throws `config_invalid`. No level has to be reachable. */
export async function openCache(settings: CacheSettings, parts: CacheParts): Promise<OpenCache> {
  const { logger } = parts;
  const uses = createFrequencySketch();
  await using opened = new AsyncDisposableStack();
  const memory =
    settings.memoryMb === 0 ? undefined : opened.use(createMemoryLevel({ maxBytes: settings.memoryMb * mib, uses }));
  const redis = settings.redis === '' ? undefined : opened.use(await openRedis(settings.redis, parts, uses));
  const http = settings.http === '' ? undefined : opened.use(await openHttp(settings.http, parts));
  const note = ({ name }: Level, err: unknown): void => {
    if (err === undefined) logger.info({ level: name }, 'a level of the cache works again');
    else logger.warn({ err, level: name }, 'a level of the cache does not work, and is skipped for a while');
  };
  const levels = [memory, redis, http].flatMap((level) => (level === undefined ? [] : [watchLevel(level, note)]));
  const cache = createCache({ memory, levels, source: parts.source, uses });
  const ahead = memory === undefined ? undefined : opened.use(startReadAhead({ cache, notes: redis }));
  const owned = opened.move();
  return {
    async get(key, options) {
      if (options.fresh !== true) ahead?.noted(key);
      return await cache.get(key, options);
    },
    delete: async (key) => await cache.delete(key),
    figures: () => cache.figures(),
    [Symbol.asyncDispose]: async () => await owned.disposeAsync(),
  };
}

/** Loads the code of these levels, for a process that will not be able to read it later. */
export async function loadCache({ redis, http }: CacheSettings): Promise<void> {
  if (redis !== '') await import('./redis/redis-level.ts');
  if (http !== '') await import('./http/http-level.ts');
}

async function openRedis(
  url: string,
  { credentials, valueMaxBytes }: CacheParts,
  uses: FrequencySketch,
): Promise<RedisLevel> {
  const { openRedisLevel } = await import('./redis/redis-level.ts');
  const read = async (): Promise<RedisCredentials> =>
    credentials === undefined ? {} : parseCredentials(await credentials());
  return openRedisLevel({ place: parseRedisUrl(url), credentials: read, valueMaxBytes, uses });
}

async function openHttp(url: string, { sign, valueMaxBytes }: CacheParts): Promise<Level> {
  const { openHttpLevel } = await import('./http/http-level.ts');
  return openHttpLevel({ base: parseHttpBase(url), sign, valueMaxBytes });
}

function parseCredentials({ username, password, ca }: Readonly<Record<string, unknown>>): RedisCredentials {
  const isTextOrAbsent = (value: unknown): value is string | undefined =>
    value === undefined || (typeof value === 'string' && value !== '');
  if (isTextOrAbsent(username) && isTextOrAbsent(password) && isTextOrAbsent(ca)) return { username, password, ca };
  throw new SoulBoxError(
    'config_invalid',
    'The credentials of the Redis cache are the texts "password", and optionally "username" and "ca".',
  );
}
