import { setTimeout as sleep } from 'node:timers/promises';
import { measureOperation, phase, serveCall, SoulBoxError, withSpan } from '@soulbox/base';
import { silentLogger } from '@soulbox/base/logger';
import type { Logger } from '@soulbox/base';
import { expect, test } from 'vitest';
import { startTracing } from './start-tracing.ts';
import { startCollector } from './testing/collector.ts';

const parent = { traceId: '4bf92f3577b34da6a3ce929d0e0e4736', spanId: '00f067aa0ba902b7', isSampled: true };
const start = async (url: string, samplePercent = 100, logger: Logger = silentLogger): Promise<AsyncDisposable> =>
  await startTracing({ url, samplePercent }, { service: 'soulbox-test', logger });

const operate = async (): Promise<void> =>
  await measureOperation('create', async () => await phase('pool', async () => await sleep(2)));

test('a collector gets the spans of an operation by OTLP, in the trace of the caller', async () => {
  await using collector = await startCollector();
  {
    await using _tracing = await start(collector.url);
    await serveCall({ name: 'call', requestId: 'r', parent, attributes: { 'rpc.method': 'X' } }, operate);
    await withSpan({ name: 'failing' }, () => Promise.reject(new SoulBoxError('disk_full', 'secret'))).catch(() => 0);
  }
  const [pool, create, call, failing] = collector.spans;
  expect(collector.spans.map(({ name, kind, service }) => [name, kind, service])).toEqual([
    ['create.pool', 1, 'soulbox-test'],
    ['create', 1, 'soulbox-test'],
    ['call', 2, 'soulbox-test'],
    ['failing', 1, 'soulbox-test'],
  ]);
  expect([call?.traceId, call?.parentSpanId]).toEqual([parent.traceId, parent.spanId]);
  expect([create?.parentSpanId, pool?.parentSpanId]).toEqual([call?.spanId, create?.spanId]);
  expect(call?.attributes).toEqual({ 'rpc.method': 'X' });
  expect(Number((pool?.endNano ?? 0n) - (pool?.startNano ?? 0n)) / 1e6).toBeGreaterThan(1);
  expect([failing?.status, failing?.attributes]).toEqual([2, { 'error.type': 'disk_full' }]);
  expect(collector.text()).not.toContain('secret');
});

test('a caller can leave its trace out, and cannot raise the share of those that are recorded', async () => {
  await using collector = await startCollector();
  const serve = async (share: number): Promise<void> => {
    await using _tracing = await start(collector.url, share);
    await serveCall({ name: 'ignored', requestId: 'r', parent: { ...parent, isSampled: false } }, operate);
    await serveCall({ name: 'call', requestId: 'r', parent }, operate);
  };
  await serve(0);
  expect(collector.spans).toEqual([]);
  await serve(100);
  expect(collector.spans.map(({ name }) => name)).toEqual(['create.pool', 'create', 'call']);
});

test.each([
  ['refuses', () => 500],
  ['never answers', () => null],
])('a collector that %s delays nothing, costs bounded memory and is reported once', async (_how, answer) => {
  await using collector = await startCollector(answer);
  const warnings: string[] = [];
  const logger: Logger = { ...silentLogger, warn: (_fields, message) => void warnings.push(message) };
  const tracing = await start(collector.url, 100, logger);
  const spend = async (): Promise<number> => {
    const startedAt = performance.now();
    for (let n = 0; n < 10_000; n++) await withSpan({ name: 'x' }, async () => await Promise.resolve());
    return performance.now() - startedAt;
  };
  // 20,000 spans: more than wait at a time.
  expect((await spend()) + (await spend())).toBeLessThan(10_000);
  await sleep(1500);
  // Two batches of 512 on their way, and what else was begun meanwhile.
  expect(collector.requests()).toBeLessThan(45);
  const startedAt = performance.now();
  await tracing[Symbol.asyncDispose]();
  expect(performance.now() - startedAt).toBeLessThan(3000);
  expect(warnings.length).toBeLessThanOrEqual(1);
});
