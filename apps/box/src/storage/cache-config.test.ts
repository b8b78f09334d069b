import { expect, test } from 'vitest';
import { findCacheFaults } from './cache-config.ts';

const none = { memoryMb: 0, redis: '', redisCredentialsFile: '', http: '' };
const store = 's3://bucket?region=eu-central-1';

test('no level, and levels in front of a store, are valid', () => {
  expect(findCacheFaults(none, '')).toEqual([]);
  const all = { memoryMb: 1, redis: 'rediss://r:6379', redisCredentialsFile: '/c', http: 'https://cdn.example/x' };
  expect(findCacheFaults(all, store)).toEqual([]);
});

test.each([
  [{ memoryMb: 1 }, '', 'SOULBOX_CACHE_MEMORY_MB: only useful with SOULBOX_STORAGE'],
  [{ redis: 'rediss://r' }, '', 'SOULBOX_CACHE_REDIS: only useful with SOULBOX_STORAGE'],
  [{ http: 'https://cdn.example' }, '', 'SOULBOX_CACHE_HTTP: only useful with SOULBOX_STORAGE'],
  [{ redisCredentialsFile: '/c' }, store, 'SOULBOX_CACHE_REDIS_CREDENTIALS_FILE: only useful with SOULBOX_CACHE_REDIS'],
  [{ http: 'https://cdn.example' }, 'file:///x', 'SOULBOX_CACHE_HTTP: a store on local disk has no signed URLs'],
])('%j in front of %j is refused', (given, storage, fault) => {
  expect(findCacheFaults({ ...none, ...given }, storage)).toEqual([fault]);
});

test('URLs that are not valid are refused with the name of their setting', () => {
  const faults = findCacheFaults({ ...none, redis: 'redis://far.example', http: 'ftp://cdn.example' }, store);
  expect(faults).toHaveLength(2);
  expect(faults[0]).toMatch(/^SOULBOX_CACHE_REDIS: .*must be rediss/);
  expect(faults[1]).toMatch(/^SOULBOX_CACHE_HTTP: .*must be an https or http URL/);
});
