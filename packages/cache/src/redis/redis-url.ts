import { SoulBoxError } from '@soulbox/base';
import { isOnThisHost } from '../this-host.ts';

/** A server that speaks the protocol of Redis, such as Valkey. */
export interface RedisPlace {
  readonly host: string;
  readonly port: number;
  readonly usesTls: boolean;
  /** Of its numbered databases. */
  readonly database: number;
}

export const redisUrlForms = ['redis://HOST:PORT/DATABASE', 'rediss://HOST:PORT/DATABASE'] as const;

/** Throws `config_invalid`. The URL never has credentials. */
export function parseRedisUrl(text: string): RedisPlace {
  const url = text.length > 1024 ? null : URL.parse(text);
  if (url === null || !['redis:', 'rediss:'].includes(url.protocol) || url.hostname === '')
    throw invalid(`It must have one of the forms ${redisUrlForms.join(', ')}.`);
  if (url.username !== '' || url.password !== '')
    throw invalid(
      'It must not contain credentials: they are in the file that SOULBOX_CACHE_REDIS_CREDENTIALS_FILE names.',
    );
  if (url.hash !== '') throw invalid('It must not have a fragment (#).');
  const known = [...url.searchParams].every(([name, value]) => name === 'insecure' && value === 'true');
  if (!known) throw invalid('Its only parameter is insecure=true.');
  const database = /^\/?(\d{0,5})$/.exec(url.pathname)?.[1];
  if (database === undefined) throw invalid('Its path is the number of a database.');
  const usesTls = url.protocol === 'rediss:';
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  if (!usesTls && !isOnThisHost(host) && !url.searchParams.has('insecure'))
    throw invalid('It must be rediss, unless insecure=true accepts that anyone on the way reads and changes all.');
  return { host, port: url.port === '' ? 6379 : Number(url.port), usesTls, database: Number(database) };
}

function invalid(why: string): SoulBoxError {
  return new SoulBoxError('config_invalid', `The URL of the Redis cache is not valid. ${why}`);
}
