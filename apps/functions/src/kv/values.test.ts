import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { loadConfig, SoulBoxError, systemClock } from '@soulbox/base';
import { connectErrorFromError } from '@soulbox/contract';
import { ensureDefaultTeam, openDiskBlobs, openSqliteRecords } from '@soulbox/storage';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { functionsConfigSchema } from '../config.ts';
import type { FunctionsContext } from '../context.ts';
import { openNamespace, putValue, readValue } from './values.ts';

// Records and blobs are real; the runner answers whether there is room.
let cleanup: AsyncDisposableStack;
let context: FunctionsContext;
let namespace: string;
let asked: bigint[];
let isFull: boolean;

beforeEach(async () => {
  cleanup = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), 'soulbox-kv-'));
  cleanup.defer(() => rm(folder, { recursive: true }));
  const records = cleanup.use(openSqliteRecords(join(folder, 'records.sqlite')));
  const blobs = cleanup.use(await openDiskBlobs({ directory: join(folder, 'blobs') }));
  [asked, isFull] = [[], false];
  const checkHostRoom = async ({ bytes }: { bytes: bigint }): Promise<object> => {
    asked.push(bytes);
    if (isFull) throw connectErrorFromError(new SoulBoxError('disk_full', 'A value may take 1 MiB.'));
    return await Promise.resolve({});
  };
  const config = loadConfig(functionsConfigSchema, {}, { kvValueMaxBytes: 1000 });
  const runner = { checkHostRoom } as unknown as FunctionsContext['runner'];
  context = { config, teamKvBytes: 1500, records, blobs, runner, clock: systemClock } as unknown as FunctionsContext;
  namespace = await openNamespace(context, { teamId: (await ensureDefaultTeam(records)).id, namespace: 'n' });
});
afterEach(() => cleanup.disposeAsync());

const put = async (key: string, value: string): Promise<void> => {
  const content = Readable.from([Buffer.from(value)]);
  await putValue(context, namespace, { key, metadata: undefined, expiresAt: undefined, content });
};
const read = async (key: string): Promise<string | undefined> => {
  const value = await readValue(context, namespace, key);
  return value && (await text(value.content));
};

test('a value is not taken when the largest one would use what is reserved or promised, and the one before stays', async () => {
  await put('key', 'before');
  isFull = true;
  await expect(put('key', 'after')).rejects.toMatchObject({ reason: 'disk_full', message: 'A value may take 1 MiB.' });
  expect(asked).toEqual([1000n, 1000n]);
  expect(await read('key')).toBe('before');
  expect(await context.blobs.list('')).toHaveLength(1);
});

test('a value that is too large, or more than the team may have, leaves nothing', async () => {
  await put('key', 'a'.repeat(900));
  await expect(put('other', 'a'.repeat(1001))).rejects.toMatchObject({ reason: 'body_too_large' });
  await expect(put('other', 'a'.repeat(700))).rejects.toMatchObject({ reason: 'limit_exceeded' });
  expect(await read('other')).toBeUndefined();
  expect(await context.blobs.list('')).toHaveLength(1);
});
