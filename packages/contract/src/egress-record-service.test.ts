import { createRouterTransport } from '@connectrpc/connect';
import { SoulBoxError } from '@soulbox/base';
import { silentLogger } from '@soulbox/base/logger';
import { expect, test } from 'vitest';
import { addEgressRecords, createEgressRecords } from './egress-record-service.ts';
import type { EgressRecord, EgressRecords, PlaceholderRequest } from './egress-record-service.ts';

const unused = (): Promise<never> => Promise.reject(new Error('not called'));
const across = (records: Partial<EgressRecords>): EgressRecords =>
  createEgressRecords(
    createRouterTransport((router) =>
      addEgressRecords(router, { record: unused, resolve: unused, ...records }, silentLogger),
    ),
  );

const record: EgressRecord = {
  ...{ sandboxId: 'i1', teamId: 't1', startedAtMs: 1_700_000_000_123, durationMs: 42, protocol: 'tls' },
  ...{ name: 'example.com', address: '203.0.113.7', port: 443, rule: '*.example.com', isAllowed: false },
  ...{ reason: 'byte_limit', bytesSent: 5_000_000_000, bytesReceived: 1, method: 'GET', path: '/x' },
};

test('records arrive as they were sent, with the count of the lost ones', async () => {
  const got: unknown[] = [];
  const records = across({
    record: (list, dropped) => {
      got.push(list, dropped);
      return Promise.resolve();
    },
  });
  const plain: EgressRecord = { ...record, isAllowed: true, reason: '', method: '', path: '' };
  const many: EgressRecord = { ...plain, reason: 'not_logged', count: 12_000 };
  await records.record([record, plain, many], 3);
  // Absent means one.
  expect(got).toEqual([[{ ...record, count: 1 }, { ...plain, count: 1 }, many], 3]);
});

test.each([-1, -0.5, NaN, 2 ** 64, Infinity])('a record with the number %s can be sent', async (n) => {
  let got: readonly EgressRecord[] = [];
  const records = across({ record: (list) => Promise.resolve(void (got = list)) });
  const numbers = { durationMs: n, bytesSent: n, bytesReceived: n, count: n };
  await records.record([{ ...record, ...numbers }], 0);
  const nearest = n > 1 ? Number.MAX_SAFE_INTEGER : 0;
  expect(got).toMatchObject([{ durationMs: nearest, bytesSent: nearest, bytesReceived: nearest }]);
});

test('a record of a moment that is none can be sent', async () => {
  let got: readonly EgressRecord[] = [];
  const records = across({ record: (list) => Promise.resolve(void (got = list)) });
  await records.record([{ ...record, startedAtMs: NaN }], 0);
  expect(got).toMatchObject([{ startedAtMs: 0 }]);
});

test('placeholders arrive as they were sent, and their values come back', async () => {
  const got: PlaceholderRequest[] = [];
  const records = across({
    resolve: (request) => {
      got.push(request);
      return Promise.resolve({ 'e2b.secrets.KEY': 'value' });
    },
  });
  const request: PlaceholderRequest = {
    ...{ sandboxId: 'i1', teamId: 't1', placeholders: ['e2b.secrets.KEY'], name: 'example.com' },
    identityTokens: { ci: { audience: 'aud', tokenType: 'JWT-SVID' } },
  };
  await expect(records.resolve(request)).resolves.toEqual({ 'e2b.secrets.KEY': 'value' });
  expect(got).toMatchObject([request]);
});

test('an error arrives with its reason', async () => {
  const records = across({ record: () => Promise.reject(new SoulBoxError('disk_full', 'full')) });
  await expect(records.record([record], 0)).rejects.toMatchObject({ reason: 'disk_full', message: 'full' });
});

test('an unexpected error does not show its message', async () => {
  const records = across({ resolve: () => Promise.reject(new Error('secret value')) });
  const resolving = records.resolve({ sandboxId: '', teamId: '', placeholders: [], name: '', identityTokens: {} });
  await expect(resolving).rejects.toMatchObject({ reason: 'internal' });
  await expect(resolving).rejects.not.toThrow(/secret/);
});
