import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { removeTree } from '@soulbox/base';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { describeObjectFaults } from '../../conformance/object-faults.ts';
import { describeObjects } from '../../conformance/objects.ts';
import { startFaultProxy } from '../../testing/fault-proxy.ts';
import type { FaultProxy } from '../../testing/fault-proxy.ts';
import { hasMoto, startMoto } from '../../testing/moto-server.ts';
import { amendConditions, xml } from '../../testing/s3-conditions.ts';
import type { ObjectStore } from '../object-store.ts';
import { openObjectStore } from '../open-object-store.ts';
import type { StoreLimits } from '../store-options.ts';

// Without moto a test of this file fails in CI and says so elsewhere.
test.skipIf(!hasMoto && process.env['CI'] === undefined)('moto_server is installed', () => expect(hasMoto).toBe(true));

describe.skipIf(!hasMoto)('with moto_server', () => {
  let folder: string;
  let moto: Awaited<ReturnType<typeof startMoto>>;
  let proxy: FaultProxy;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'soulbox-s3-'));
    const credentials = { accessKeyId: 'AKIATEST', secretAccessKey: 'not a secret' };
    await writeFile(join(folder, 'credentials'), JSON.stringify(credentials), { mode: 0o600 });
    moto = await startMoto();
    await fetch(`${moto.url}/bucket`, { method: 'PUT' });
    proxy = await startFaultProxy(moto.url, amendConditions);
  });
  afterAll(async () => {
    await proxy[Symbol.asyncDispose]();
    await moto[Symbol.asyncDispose]();
    await removeTree(folder);
  });

  const open = (url: string, limits: Partial<StoreLimits> = {}): Promise<ObjectStore> =>
    openObjectStore(`${url}endpoint=${proxy.url}`, { credentialsFile: join(folder, 'credentials'), limits });
  const openS3 = (limits?: Partial<StoreLimits>): Promise<ObjectStore> => open('s3://bucket?region=us-east-1&', limits);

  describeObjects('S3', { open: (prefix) => open(`s3://bucket/of s3/ü+%25/${prefix}?region=us-east-1&`) });
  // The driver is the same: what the form of the URL changes.
  describeObjects('R2', {
    open: (prefix) => open(`r2://bucket/of-r2/${prefix}?`),
    only: ['read', 'create', 'list', 'sign-get'],
  });

  describeObjectFaults('S3', {
    proxy: () => proxy,
    open: openS3,
    error: (status) =>
      xml(
        status,
        { 403: 'AccessDenied', 429: 'TooManyRequests', 503: 'ServiceUnavailable' }[status] ?? 'InternalError',
      ),
    isPut: ({ method, path }) => method === 'PUT' && !path.includes('partNumber='),
    isPart: ({ method, path }) => method === 'PUT' && path.includes('partNumber='),
    isFinish: ({ method, path }) => method === 'POST' && path.includes('uploadId='),
  });

  const retries = { attempts: 4, initialDelayMs: 1, maxDelayMs: 10, budgetMs: 20_000, retryAfterMaxMs: 2000 };

  test('a host whose clock is wrong uses that of the store', async () => {
    await using store = await openS3({ retries });
    const hour = 3600_000;
    const date = new Date(Date.now() + hour).toUTCString();
    proxy.use((_, number) => (number === 1 ? { ...xml(403, 'RequestTimeTooSkewed'), headers: { date } } : undefined));
    await store.put('skewed', Buffer.from('x'));
    const signedAt = String(proxy.requests[1]?.headers['x-amz-date']);
    const [day, time] = [signedAt.slice(0, 8), signedAt.slice(9, 15)];
    const iso = `${day.slice(0, 4)}-${day.slice(4, 6)}-${day.slice(6)}T${time.slice(0, 2)}:${time.slice(2, 4)}:${time.slice(4)}Z`;
    expect(Math.abs(Date.parse(iso) - Date.now() - hour)).toBeLessThan(60_000);
    proxy.use(() => xml(403, 'RequestTimeTooSkewed'));
    await expect(store.put('skewed', Buffer.from('x'))).rejects.toMatchObject({ reason: 'storage_access_denied' });
  });

  test('credentials that are given are the only ones, and anonymous requests have none', async () => {
    process.env['AWS_ACCESS_KEY_ID'] = 'AKIAOFTHEHOST';
    process.env['AWS_SECRET_ACCESS_KEY'] = 'of the host';
    try {
      const url = `s3://bucket?region=us-east-1&endpoint=${proxy.url}`;
      const signedBy = async (credentials: 'anonymous' | Readonly<Record<string, unknown>>): Promise<unknown> => {
        await using store = await openObjectStore(url, { credentials });
        proxy.use(() => xml(403, 'AccessDenied'));
        await expect(store.stat('a')).rejects.toMatchObject({ reason: 'storage_access_denied' });
        return proxy.requests[0]?.headers.authorization;
      };
      expect(await signedBy('anonymous')).toBeUndefined();
      expect(await signedBy({ accessKeyId: 'AKIATENANT', secretAccessKey: 'x' })).toContain('=AKIATENANT/');
      await expect(signedBy({})).rejects.toMatchObject({ reason: 'config_invalid' });
      const twice = openObjectStore(url, { credentials: 'anonymous', credentialsFile: join(folder, 'credentials') });
      await expect(twice).rejects.toMatchObject({ reason: 'config_invalid' });
    } finally {
      delete process.env['AWS_ACCESS_KEY_ID'];
      delete process.env['AWS_SECRET_ACCESS_KEY'];
    }
  });

  describe('a file with credentials that changes', () => {
    afterEach(() => void vi.useRealTimers());
    const path = (): string => join(folder, 'rotated');
    const write = async (text: string): Promise<void> => await writeFile(path(), text, { mode: 0o600 });
    const keyPair = (accessKeyId: string): string =>
      JSON.stringify({ accessKeyId, secretAccessKey: `of ${accessKeyId}` });
    const openRotated = async (): Promise<ObjectStore> => {
      vi.useFakeTimers({ toFake: ['Date', 'performance'] });
      const url = `s3://bucket?region=us-east-1&endpoint=${proxy.url}`;
      return await openObjectStore(url, { credentialsFile: path(), limits: { retries } });
    };
    /** Moto takes all keys, so the proxy refuses those that are not valid. */
    const accept = (valid: string): void =>
      proxy.use(({ headers }) =>
        headers.authorization?.includes(`Credential=${valid}/`) === true ? undefined : xml(403, 'InvalidAccessKeyId'),
      );

    test('takes effect within a minute, without a restart', async () => {
      await write(keyPair('AKIAOLD'));
      await using store = await openRotated();
      accept('AKIAOLD');
      await store.put('rotated', Buffer.from('old'));
      await write(keyPair('AKIANEW'));
      vi.advanceTimersByTime(50_000);
      await store.put('rotated', Buffer.from('still old'));
      accept('AKIANEW');
      vi.advanceTimersByTime(11_000);
      await store.put('rotated', Buffer.from('new'));
      expect(proxy.requests).toHaveLength(1);
      // Keys that the store has revoked.
      accept('AKIANONE');
      await expect(store.put('rotated', Buffer.from('x'))).rejects.toMatchObject({
        reason: 'storage_access_denied',
        message: expect.not.stringContaining('of AKIANEW') as string,
      });
    });

    test.each([
      ['is half-written', '{"accessKeyId":"AKIANEW","secretAcc'],
      ['is empty', ''],
      ['lacks the secret', '{"accessKeyId":"AKIANEW"}'],
    ])('has no effect while it %s', async (_, text) => {
      await write(keyPair('AKIAOLD'));
      await using store = await openRotated();
      accept('AKIAOLD');
      await store.put('rotated', Buffer.from('old'));
      await write(text);
      vi.advanceTimersByTime(61_000);
      await store.put('rotated', Buffer.from('still old'));
      accept('AKIANEW');
      await write(keyPair('AKIANEW'));
      vi.advanceTimersByTime(61_000);
      await store.put('rotated', Buffer.from('new'));
    });

    test('is an error without its text if it is broken when the store is opened', async () => {
      await write('{"accessKeyId":"AKIANEW","secretAccessKey":"hidden"');
      const opened = openRotated();
      await expect(opened).rejects.toMatchObject({ reason: 'config_invalid' });
      await expect(opened).rejects.not.toThrow(/hidden|AKIANEW/);
    });
  });

  test('the credentials of a file that others can read are refused', async () => {
    const credentialsFile = join(folder, 'open');
    await writeFile(credentialsFile, '{}', { mode: 0o644 });
    const opened = openObjectStore(`s3://bucket?endpoint=${proxy.url}`, { credentialsFile });
    await expect(opened).rejects.toMatchObject({ reason: 'config_invalid' });
  });

  test.each([
    ['NoSuchBucket', 404, 'config_invalid'],
    ['AuthorizationHeaderMalformed', 400, 'config_invalid'],
    ['PermanentRedirect', 301, 'config_invalid'],
    ['QuotaExceeded', 403, 'disk_full'],
    ['SlowDown', 503, 'storage_throttled'],
    ['NotImplemented', 501, 'storage_unsupported'],
    ['XAmzContentSHA256Mismatch', 400, 'storage_damaged'],
    ['ExpiredToken', 400, 'storage_access_denied'],
  ])('the error %s with status %s is %s', async (code, status, reason) => {
    await using store = await openS3({ retries });
    proxy.use(() => xml(status, code));
    await expect(store.put('a', Buffer.from('x'))).rejects.toMatchObject({ reason });
  });

  test('a store that ignores a range does not pass for one that keeps it', async () => {
    await using store = await openS3({ retries });
    proxy.use(() => ({ kind: 'answer', status: 200, headers: { etag: '"x"' }, body: 'abcdef' }));
    const opened = store.get('a', { range: { offset: 2, length: 2 } });
    await expect(opened).rejects.toMatchObject({ reason: 'storage_damaged' });
  });

  test('a list that is no XML is an error', async () => {
    await using store = await openS3({ retries });
    proxy.use(() => ({ kind: 'answer', status: 200, body: '<ListBucketResult><Contents>' }));
    await expect(store.list()).rejects.toMatchObject({ reason: 'storage_unavailable' });
  });
});
