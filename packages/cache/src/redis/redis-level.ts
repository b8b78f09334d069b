import type { FrequencySketch } from '../frequency-sketch.ts';
import type { Level } from '../level.ts';
import { openRedisConnection } from './redis-connection.ts';
import type { RedisCredentials, RedisLimits } from './redis-connection.ts';
import type { RedisPlace } from './redis-url.ts';

export interface RedisOptions {
  readonly place: RedisPlace;
  readonly credentials: () => Promise<RedisCredentials>;
  /** A larger value is a fault of the server. */
  readonly valueMaxBytes: number;
  readonly uses: FrequencySketch;
  readonly limits?: Partial<RedisLimits>;
  /** Of a value. Milliseconds. */
  readonly liveMs?: number;
}

const usualLimits: RedisLimits = { connectMs: 2000, silenceMs: 150, commandMs: 1000 };
/** What was deleted from the store, and was not removed here, is gone after this time. A day. */
const usualLiveMs = 86_400_000;
/** Values that are on their way to it. More are not sent: it would get them later than it is asked for them. */
const sendingMax = 3;

/** For all that this form of values has; another form needs another one. */
const prefix = 'soulbox:1:';

/** A level that several hosts share. */
export interface RedisLevel extends Level {
  /** Of small things beside the values, such as orders of reads. */
  readNote(name: string): Promise<Buffer | undefined>;
  writeNote(name: string, note: Buffer): void;
}

/**
 * Values in Redis or Valkey. It takes a value that was used twice lately: by this process, or once by this and once by
 * another process, of which a mark in Redis tells. What is read once, such as the memory of a sandbox that is resumed
 * once, never gets there.
 */
export function openRedisLevel(options: RedisOptions): RedisLevel {
  const { place, credentials, valueMaxBytes, uses, liveMs = usualLiveMs } = options;
  const limits = { ...usualLimits, ...options.limits };
  const connection = { place, credentials, valueMaxBytes, limits };
  // Reads do not wait behind values that are sent. Those may take longer.
  const reads = openRedisConnection(connection);
  const patient = { ...limits, silenceMs: 4 * limits.silenceMs, commandMs: 4 * limits.commandMs };
  const writes = openRedisConnection({ ...connection, limits: patient });
  let sending = 0;
  const send = async (key: string, value: Buffer): Promise<void> => {
    // SET with NX fails, with nil, if somebody has set it before.
    const isFirst = async (): Promise<boolean> =>
      (await writes.send('SET', `${prefix}seen:${key}`, '1', 'NX', 'PX', String(liveMs))) !== undefined;
    if (uses.estimate(key) < 2 && (await isFirst())) return;
    await writes.send('SET', `${prefix}${key}`, value, 'PX', String(liveMs));
  };
  const inBackground = (work: () => Promise<unknown>): void => {
    if (sending >= sendingMax) return;
    sending += 1;
    // A value that did not get there is read elsewhere. A full server (OOM) still answers reads.
    work()
      .catch(() => undefined)
      .finally(() => (sending -= 1));
  };
  const remove = async (key: string): Promise<void> => {
    await writes.send('DEL', `${prefix}${key}`, `${prefix}seen:${key}`);
  };
  const read = async (key: string): Promise<Buffer | undefined> => {
    const found = await reads.send('GET', `${prefix}${key}`);
    if (found === undefined || Buffer.isBuffer(found)) return found;
    throw new Error('The server has sent something else than a value.');
  };
  return {
    name: 'redis',
    find: async (key) => await read(key),
    offer(key, value) {
      if (value.length <= valueMaxBytes) inBackground(async () => await send(key, value));
    },
    remove,
    refuse: remove,
    readNote: async (name) => await read(`note:${name}`),
    writeNote(name, note) {
      writes.send('SET', `${prefix}note:${name}`, note, 'PX', String(liveMs)).catch(() => undefined);
    },
    content: () => undefined,
    [Symbol.asyncDispose]() {
      reads[Symbol.dispose]();
      writes[Symbol.dispose]();
      return Promise.resolve();
    },
  };
}
