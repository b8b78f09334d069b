import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { createClient, createRouterTransport } from '@connectrpc/connect';
import { SoulBoxError, systemClock } from '@soulbox/base';
import { loadConfig } from '@soulbox/base/config';
import { connectErrorFromError } from '@soulbox/contract/connect-errors';
import { RunnerService } from '@soulbox/contract/runner';
import { ensureDefaultTeam, openDiskBlobs, openSqliteRecords } from '@soulbox/storage';
import { newRecordsFile } from '@soulbox/storage/testing';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { functionsConfigSchema } from '../config.ts';
import type { FunctionsContext } from '../context.ts';
import { openNamespace, putValue, readValue } from './values.ts';

// Records and blobs are real; the runner decides whether there is room.
let cleanup: AsyncDisposableStack;
let context: FunctionsContext;
let namespace: string;
let teamId: string;
let asked: bigint[];
/** Reservations that are held at the moment. */
let held: Set<bigint>;
let isFull: boolean;

beforeEach(async () => {
  cleanup = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), 'soulbox-kv-'));
  cleanup.defer(() => rm(folder, { recursive: true }));
  newRecordsFile(join(folder, 'records.sqlite'));
  const records = cleanup.use(openSqliteRecords(join(folder, 'records.sqlite')));
  const blobs = cleanup.use(await openDiskBlobs({ directory: join(folder, 'blobs') }));
  [asked, held, isFull] = [[], new Set(), false];
  const transport = createRouterTransport(({ rpc }) => {
    rpc(RunnerService.method.holdHostRoom, async function* ({ bytes }, { signal }) {
      asked.push(bytes);
      if (isFull) throw connectErrorFromError(new SoulBoxError('disk_full', 'A value may take 1 MiB.'));
      held.add(bytes);
      const ended = once(signal, 'abort').then(() => held.delete(bytes));
      yield {};
      await ended;
    });
  });
  const config = loadConfig(functionsConfigSchema, {}, { kvValueMaxBytes: 1000 });
  const runner = createClient(RunnerService, transport);
  const parts = { config, teamKvBytes: 1500, records, blobs, runner, arriving: new Map(), clock: systemClock };
  context = parts as unknown as FunctionsContext;
  teamId = (await ensureDefaultTeam(records)).id;
  namespace = await openNamespace(context, { teamId, namespace: 'n' });
});
afterEach(() => cleanup.disposeAsync());

const putFrom = async (key: string, content: Readable, announcedBytes = Infinity): Promise<void> => {
  const value = { key, metadata: undefined, expiresAt: undefined, announcedBytes, content };
  await putValue(context, { teamId, namespace }, value);
};
const put = async (key: string, value: string, announcedBytes?: number): Promise<void> => {
  await putFrom(key, Readable.from([Buffer.from(value)]), announcedBytes);
};
const read = async (key: string): Promise<string | undefined> => {
  const value = await readValue(context, namespace, key);
  return value && (await text(value.content));
};

test('a value is refused, and the previous one stays, if one of maximum size would use reserved space', async () => {
  await put('key', 'before');
  isFull = true;
  await expect(put('key', 'after')).rejects.toMatchObject({ reason: 'disk_full', message: 'A value may take 1 MiB.' });
  expect(asked).toEqual([1000n, 1000n]);
  expect(await read('key')).toBe('before');
  expect(await context.blobs.list('')).toHaveLength(1);
});

test('room of the announced size is reserved for a value until it is stored', async () => {
  const content = new Readable({ read: () => undefined });
  const under = putFrom('key', content, 5);
  await expect.poll(() => [...held]).toEqual([5n]);
  content.push('value');
  content.push(null);
  await under;
  await expect.poll(() => [...held]).toEqual([]);
  await expect(put('key', 'longer', 5)).rejects.toMatchObject({ reason: 'body_too_large' });
  await expect(put('key', 'a'.repeat(1001), 2000)).rejects.toMatchObject({ reason: 'body_too_large' });
  expect(asked).toEqual([5n, 5n, 1000n]);
  await expect.poll(() => [...held]).toEqual([]);
});

test('incomplete uploads hold no more room than the team may have', async () => {
  const content = new Readable({ read: () => undefined });
  const under = putFrom('slow', content);
  await expect.poll(() => [...held]).toEqual([1000n]);
  await expect(put('key', 'value')).rejects.toMatchObject({ reason: 'limit_exceeded' });
  await put('key', 'value', 5);
  content.destroy(new Error('gone'));
  await expect(under).rejects.toThrow('gone');
  await put('key', 'other');
  expect(await read('key')).toBe('other');
});

test("a value above the size limit or the team's limit leaves nothing", async () => {
  await put('key', 'a'.repeat(900));
  await expect(put('other', 'a'.repeat(1001))).rejects.toMatchObject({ reason: 'body_too_large' });
  await expect(put('other', 'a'.repeat(700))).rejects.toMatchObject({ reason: 'limit_exceeded' });
  expect(await read('other')).toBeUndefined();
  expect(await context.blobs.list('')).toHaveLength(1);
});
