import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { silentLogger } from '@soulbox/base/logger';
import { isThere } from '@soulbox/testing';
import { describe, expect, onTestFinished, test } from 'vitest';
import { openCache } from './open-cache.ts';
import type { CacheParts, OpenCache } from './open-cache.ts';
import type { CacheSettings } from './settings.ts';
import { findFreePort, hasValkey, startValkey } from './testing/index.ts';

const { signal } = new AbortController();
const none: CacheSettings = { memoryMb: 0, redis: '', http: '' };

async function open(settings: Partial<CacheSettings>, more: Partial<CacheParts> = {}) {
  const reads: string[] = [];
  const cache = await openCache(
    { ...none, ...settings },
    {
      async source(key) {
        reads.push(key);
        const value = Buffer.from(`value of ${key}`);
        return await Promise.resolve({ sizeBytes: value.length, body: Readable.from([value]) });
      },
      sign: async (key) => await Promise.resolve(`https://store.example/${key}`),
      ...{ valueMaxBytes: 1000, logger: silentLogger, ...more },
    },
  );
  onTestFinished(() => cache[Symbol.asyncDispose]());
  return { cache, reads };
}

const readAll = async (cache: OpenCache, keys: readonly string[]): Promise<void> => {
  for (const key of keys) await cache.get(key, { signal });
};

test('only the levels of the settings exist', async () => {
  const { cache } = await open({ memoryMb: 1, http: `http://127.0.0.1:${await findFreePort()}` });
  expect(cache.figures().levels.map(({ level }) => level)).toEqual(['memory', 'http']);
  expect(String(await cache.get('a/b', { signal }))).toBe('value of a/b');
});

test('levels that are not in the settings are not loaded', async () => {
  const program = `
    import { registerHooks } from 'node:module';
    const loaded = new Set();
    registerHooks({ load(url, context, next) { loaded.add(url.split('/').at(-1)); return next(url, context); } });
    const { openCache } = await import(${JSON.stringify(join(import.meta.dirname, 'index.ts'))});
    await openCache({ memoryMb: 1, redis: '', http: '' }, { valueMaxBytes: 1 });
    console.log(JSON.stringify([...loaded]));`;
  const args = ['--conditions=soulbox-source', '--input-type=module', '--eval', program];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  const loaded = JSON.parse(stdout) as string[];
  expect(loaded).toContain('memory-level.ts');
  expect(loaded.filter((name) => /redis-level|redis-connection|http-level/.test(name))).toEqual([]);
});

describe.skipIf(!isThere('valkey-server', hasValkey))('Valkey', () => {
  test('hosts share what both have read, and a new process has it without the store', async () => {
    const server = await startValkey();
    onTestFinished(() => server[Symbol.asyncDispose]());
    const [one, other] = [await open({ redis: server.url }), await open({ redis: server.url })];
    await sleep(200);
    await readAll(one.cache, ['a/b']);
    await sleep(100);
    await readAll(other.cache, ['a/b']);
    await sleep(100);
    const third = await open({ redis: server.url });
    await sleep(200);
    expect(String(await third.cache.get('a/b', { signal }))).toBe('value of a/b');
    expect([one.reads, other.reads, third.reads]).toEqual([['a/b'], ['a/b'], []]);
    await one.cache.delete('a/b');
    await readAll(third.cache, ['a/b']);
    expect(third.reads).toEqual(['a/b']);
  });

  test('credentials of another form fail, and nothing else does', async () => {
    const server = await startValkey(['--requirepass', 'x']);
    onTestFinished(() => server[Symbol.asyncDispose]());
    const { cache, reads } = await open({ redis: server.url }, { credentials: () => Promise.resolve({ password: 1 }) });
    await sleep(100);
    await readAll(cache, ['a/1', 'a/2', 'a/3', 'a/4']);
    expect([reads.length, cache.figures().levels[0]]).toMatchObject([4, { errors: 3, skipped: 1, state: 'resting' }]);
  });
});
