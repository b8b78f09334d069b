import { afterEach, expect, test } from 'vitest';
import { objectCacheFigures } from '../testing/object-cache-figures.ts';
import { metricsToken, startTestApi } from '../testing/test-api.ts';
import type { TestApi } from '../testing/test-api.ts';

let api: TestApi | undefined;
afterEach(async () => {
  await api?.[Symbol.asyncDispose]();
});

test('the operator sees what is not in the object store and why, in the API and in the metrics', async () => {
  api = await startTestApi();
  const headers = { authorization: `Bearer ${metricsToken}` };
  const { status, json } = await api.ask('GET', '/host/storage', { key: null, headers });
  expect([status, json]).toEqual([
    200,
    {
      ...{ state: 'away', reason: 'The store is away.', wanted: 3, uploaded: 2, pendingBytes: 1000 },
      ...{ uploads: 5, uploadedBytes: 7000, failures: 1 },
      ...{ localBytes: 9000, evictions: 2, evictedBytes: 800, fetches: 3, fetchedBytes: 600, fetchFailures: 4 },
      notUploaded: [{ what: 'sandbox', id: 'i1', state: 'failed', reason: 'why' }],
      volumes: {
        ...{ state: 'working', reason: '', wanted: 4, uploaded: 3, uploads: 9, uploadedBytes: 8000, failures: 2 },
        behind: [{ id: 'v1', seconds: 7, bytes: 500, storedAtMs: 1, reason: '' }],
      },
    },
  ]);
  const { text } = await api.ask('GET', '/metrics', { key: null, headers });
  const lines = text.split('\n').filter((line) => line.startsWith('soulbox_storage_'));
  expect(lines).toEqual([
    'soulbox_storage_available 0',
    'soulbox_storage_pending 1',
    'soulbox_storage_pending_bytes 1000',
    'soulbox_storage_uploads_total 5',
    'soulbox_storage_uploaded_bytes_total 7000',
    'soulbox_storage_failures_total 1',
    'soulbox_storage_local_bytes 9000',
    'soulbox_storage_evictions_total 2',
    'soulbox_storage_evicted_bytes_total 800',
    'soulbox_storage_fetches_total 3',
    'soulbox_storage_fetched_bytes_total 600',
    'soulbox_storage_fetch_failures_total 4',
    'soulbox_storage_volumes_available 1',
    'soulbox_storage_volumes_behind 1',
    'soulbox_storage_volumes_behind_seconds 7',
    'soulbox_storage_volumes_uploaded_bytes_total 8000',
    'soulbox_storage_volumes_failures_total 2',
  ]);
});

test('a key of a team does not see it', async () => {
  api = await startTestApi();
  expect((await api.ask('GET', '/host/storage')).status).toBe(401);
});

test('the levels of the cache of objects are there, with what only the memory knows', async () => {
  api = await startTestApi({ readObjectCache: () => Promise.resolve(objectCacheFigures) });
  const headers = { authorization: `Bearer ${metricsToken}` };
  const { json } = await api.ask('GET', '/host/storage', { key: null, headers });
  expect((json as { cache: unknown }).cache).toEqual(objectCacheFigures);
  const { text } = await api.ask('GET', '/metrics', { key: null, headers });
  const lines = text.split('\n').filter((line) => line.startsWith('soulbox_storage_cache_'));
  expect(lines.map((line) => line.replace('soulbox_storage_cache_', ''))).toEqual([
    ...['hits_total{level="memory"} 3', 'hits_total{level="redis"} 3'],
    ...['hit_bytes_total{level="memory"} 30', 'hit_bytes_total{level="redis"} 30'],
    ...['misses_total{level="memory"} 1', 'misses_total{level="redis"} 1'],
    ...['errors_total{level="memory"} 0', 'errors_total{level="redis"} 5'],
    ...['skipped_total{level="memory"} 0', 'skipped_total{level="redis"} 6'],
    ...['wrong_total{level="memory"} 0', 'wrong_total{level="redis"} 7'],
    ...['resting{level="memory"} 0', 'resting{level="redis"} 1'],
    ...['bytes{level="memory"} 20', 'max_bytes{level="memory"} 100', 'evictions_total{level="memory"} 4'],
    ...['store_reads_total 8', 'store_bytes_total 80', 'shared_total 9', 'ahead_total 10'],
  ]);
});
