/** @module-tag violation */
import { once } from 'node:events';
import { closeSync, mkdirSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { request as httpRequest } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { removeTree, SoulBoxError } from '@soulbox/base';
import type { Logger } from '@soulbox/base';
import type { BucketAccess } from '@soulbox/contract/bucket-record-service';
import { openMount } from '@soulbox/fuse';
import type { Mounted } from '@soulbox/fuse';
import { createHostPolicy, createOutsidePolicy } from '@soulbox/network/outside';
import { createDescriptorPair, sendDescriptor } from '@soulbox/process';
import { openObjectStore } from '@soulbox/storage/objects';
import { amendConditions, hasMoto, startFaultProxy, startMoto } from '@soulbox/storage/testing-objects';
import type { FaultProxy } from '@soulbox/storage/testing-objects';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { startBucketService } from './start.ts';
import type { BucketServer } from './start.ts';

const silent = { info: () => undefined, warn: () => undefined, error: () => undefined } as unknown as Logger;
(silent as { child: unknown }).child = () => silent;
const canMount = process.getuid?.() === 0;
const execute = promisify(execFile);
/** The shell goes to the folder itself: a spawn waits in this process, which serves the mount, until that is done. */
const shell = (path: string, script: string): [string, string[]] => ['/bin/bash', ['-ec', `cd "$0"\n${script}`, path]];
/** Writes a line, and another one and closes the file when it gets one. A shell closes copies of a descriptor. */
const writer = (path: string, name: string): [string, string[]] => {
  const program = `f = open("${name}", "w"); f.write("one\\n"); f.flush(); input(); f.write("two\\n"); f.close()`;
  return shell(path, `exec /usr/bin/python3 -c '${program}'`);
};
const run = async (path: string, script: string): Promise<string> =>
  (await execute(...shell(path, script), { timeout: 30_000 })).stdout;
const failure = async (work: Promise<unknown>): Promise<string> => {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown as { stderr: string },
  );
  return error?.stderr ?? '';
};

test.skipIf(!hasMoto && process.env['CI'] === undefined)('moto_server is installed', () => expect(hasMoto).toBe(true));

describe.skipIf(!hasMoto)('the bucket service', () => {
  let moto: Awaited<ReturnType<typeof startMoto>>;
  let proxy: FaultProxy;
  let folder: string;
  let service: BucketServer;
  let channel: readonly [number, number];
  let access: BucketAccess | SoulBoxError;
  let mounts: Mounted[];
  const socketPath = (): string => join(folder, 'buckets.sock');
  const credentialsOf = (accessKeyId: string): string => JSON.stringify({ accessKeyId, secretAccessKey: 'x' });

  beforeAll(async () => {
    moto = await startMoto();
    proxy = await startFaultProxy(moto.url, amendConditions);
    await fetch(`${moto.url}/bucket`, { method: 'PUT' });
  });
  afterAll(async () => {
    await proxy[Symbol.asyncDispose]();
    await moto[Symbol.asyncDispose]();
  });
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'soulbox-buckets-'));
    channel = createDescriptorPair();
    mounts = [];
    proxy.use(() => undefined);
    access = {
      ...{ name: 'b', url: `s3://bucket?region=us-east-1&endpoint=${proxy.url}`, isReadOnly: false },
      credentials: credentialsOf('AKIAFIRST'),
    };
    await start();
  });
  afterEach(async () => {
    for (const mount of mounts) {
      await mount.abort();
      mount.close();
    }
    await service[Symbol.asyncDispose]();
    channel.forEach(closeSync);
    await removeTree(folder);
  });

  async function start(): Promise<void> {
    const policy = createHostPolicy(['127.0.0.1'], createOutsidePolicy([]), '');
    const get = async (): Promise<BucketAccess> =>
      access instanceof SoulBoxError ? await Promise.reject(access) : await Promise.resolve(access);
    const limits = {
      retries: { attempts: 2, initialDelayMs: 10, maxDelayMs: 10, budgetMs: 1000, retryAfterMaxMs: 10 },
      attemptMs: 5000,
    };
    service = await startBucketService({
      ...{ directory: join(folder, 'data'), place: { path: socketPath() }, channel: channel[1], logger: silent },
      ...{ records: { get }, lookup: policy.lookup, limits, freshMs: 0 },
    });
  }
  async function ask(method: string, path: string, body = ''): Promise<{ status: number; body: string }> {
    const sent = httpRequest({ socketPath: socketPath(), method, path, agent: false });
    sent.end(body);
    const [answer] = (await once(sent, 'response')) as [IncomingMessage];
    return { status: answer.statusCode ?? 0, body: await text(answer) };
  }
  /** The test is the runner: it has the device, and gives the service another descriptor of it. */
  async function order(mounted: Mounted, more: object = {}): Promise<{ status: number; body: string }> {
    const ticket = Buffer.from(sendDescriptor(channel[0], mounted.fd)).toString('hex');
    const { negotiated } = mounted;
    const body = { ticket, negotiated, isTakeover: false, isReadOnly: false, prefix: '', ...more };
    return await ask('PUT', '/team/b1/mount?mount=m-1', JSON.stringify(body));
  }
  async function mount(more: object = {}): Promise<Mounted> {
    const mountPoint = join(folder, `mount-${mounts.length}`);
    mkdirSync(mountPoint);
    const mounted = await openMount({ mountPoint });
    mounts.push(mounted);
    expect(await order(mounted, more)).toEqual({ status: 204, body: '' });
    return mounted;
  }
  const contentOf = async (key: string): Promise<string> => {
    const credentials = { accessKeyId: 'AKIATEST', secretAccessKey: 'x' };
    await using store = await openObjectStore(`s3://bucket?region=us-east-1&endpoint=${moto.url}`, { credentials });
    return await text((await store.get(key)).body);
  };
  const reasonOf = async (): Promise<unknown> =>
    (JSON.parse((await ask('GET', '/team/b1/check')).body) as { reason?: string }).reason;

  test('checks a bucket, and answers with the error of the store', async () => {
    expect(await ask('GET', '/team/b1/check')).toEqual({ status: 200, body: '{}' });
    expect(proxy.requests[0]?.headers.authorization).toContain('=AKIAFIRST/');
    proxy.use(() => ({ kind: 'answer', status: 403 }));
    expect(await reasonOf()).toBe('storage_access_denied');
    proxy.use(() => ({ kind: 'answer', status: 503 }));
    expect(await reasonOf()).toBe('storage_unavailable');
    access = new SoulBoxError('bucket_not_found', 'No.');
    expect(await reasonOf()).toBe('bucket_not_found');
  });

  test('reaches nothing of this host: no folder, no private endpoint, no credentials but those of the team', async () => {
    const given = access as BucketAccess;
    access = { ...given, url: `file://${folder}`, credentials: '' };
    expect(await reasonOf()).toBe('bad_request');
    for (const host of ['169.254.169.254', '10.0.0.1', '[::1]', '100.100.100.200']) {
      access = { ...given, url: `s3://bucket?region=us-east-1&insecure=true&endpoint=http://${host}` };
      expect([host, await reasonOf()]).toEqual([host, 'storage_access_denied']);
    }
    access = { ...given, credentials: '' };
    expect(await ask('GET', '/team/b1/check')).toMatchObject({ status: 200 });
    expect(proxy.requests.at(-1)?.headers.authorization).toBeUndefined();
    access = { ...given, credentials: '{}' };
    expect(await reasonOf()).toBe('config_invalid');
  });

  test.each([
    ['PUT', '/team/b1/mount?mount=m-1', '{}'],
    ['PUT', '/team/b1/mount?mount=../x', '{}'],
    ['PUT', '/team/b1/mount', 'no json'],
    ['PUT', '/team/b1/mount?mount=m-1', 'x'.repeat(70_000)],
    ['GET', '/team/b1', ''],
    ['GET', '/team/../b1/check', ''],
    ['GET', '/a%2Fb/b1/check', ''],
    ['DELETE', '/team/b1/check', ''],
  ])('refuses %s %s', async (method, path, body) => {
    expect((await ask(method, path, body)).status).toBeGreaterThanOrEqual(400);
    expect(await ask('GET', '/mounts')).toEqual({ status: 200, body: '[]' });
  });

  describe.skipIf(!canMount)('with a mount', () => {
    test.each(['/x/', 'x', '../', 'a//', 'a/../b/', 'a\\/'])('refuses the prefix %s', async (prefix) => {
      const mountPoint = join(folder, 'refused');
      mkdirSync(mountPoint);
      const mounted = await openMount({ mountPoint });
      mounts.push(mounted);
      expect(await order(mounted, { prefix })).toMatchObject({ status: 400 });
    });

    test('follows new credentials and a change to read-only, and goes on while control is away', async () => {
      const { mountPoint } = await mount({ prefix: 'deep/' });
      await run(mountPoint, 'echo one > file');
      expect(proxy.requests.at(-1)?.headers.authorization).toContain('=AKIAFIRST/');
      const given = access as BucketAccess;
      access = { ...given, credentials: credentialsOf('AKIASECOND') };
      proxy.use(() => undefined);
      expect(await run(mountPoint, 'cat file')).toBe('one\n');
      expect(proxy.requests.length).toBeGreaterThan(0);
      for (const { headers } of proxy.requests) expect(headers.authorization).toContain('=AKIASECOND/');
      access = new SoulBoxError('control_unavailable', 'Away.');
      await run(mountPoint, 'echo two > file');
      access = { ...given, isReadOnly: true };
      expect(await failure(run(mountPoint, 'rm file'))).toContain('Read-only file system');
      expect(await run(mountPoint, 'cat file')).toBe('two\n');
      access = new SoulBoxError('bucket_not_found', 'No.');
      expect(await failure(run(mountPoint, 'cat file'))).toContain('Input/output error');
      expect(await contentOf('deep/file')).toBe('two\n');
    });

    test('leaves it to the next service, with what is not written yet', async () => {
      const mounted = await mount();
      const child = execFile(...writer(mounted.mountPoint, 'late'));
      const ended = once(child, 'exit');
      await expect.poll(async () => await run(mounted.mountPoint, 'cat late 2>/dev/null || true')).toBe('one\n');
      await service[Symbol.asyncDispose]();
      await start();
      expect(await order(mounted, { isTakeover: true })).toMatchObject({ status: 204 });
      expect(await ask('GET', '/mounts')).toEqual({ status: 200, body: '["m-1"]' });
      child.stdin?.end('\n');
      expect(await ended).toEqual([0, null]);
      expect(await contentOf('late')).toBe('one\ntwo\n');
    });

    test('writes everything that is open when it is asked to', async () => {
      const { mountPoint } = await mount();
      const child = execFile(...writer(mountPoint, 'open'));
      await expect.poll(async () => await run(mountPoint, 'cat open 2>/dev/null || true')).toBe('one\n');
      await expect(contentOf('open')).rejects.toMatchObject({ reason: 'storage_not_found' });
      expect(await ask('POST', '/team/b1/sync?mount=m-1')).toMatchObject({ status: 204 });
      expect(await contentOf('open')).toBe('one\n');
      child.stdin?.end('\n');
    });
  });
});
