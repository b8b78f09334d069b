import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '@soulbox/base/logger';
import { openDiskBlobs } from '@soulbox/storage';
import { claimOwner, createParcels, eachPackedBlob, sealedObjects } from '@soulbox/vault';
import { memoryAccess } from '@soulbox/vault/testing';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { uploadDependencies } from './upload-dependencies.ts';

const { signal } = new AbortController();
const serverId = 'a'.repeat(20);
const keys = { runner: randomBytes(32), owner: randomBytes(32) };
let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'upload-dependencies-'));
});
afterEach(async () => await rm(folder, { recursive: true }));

test('cached dependencies are uploaded as they are on the disk, once the place is taken', async () => {
  const access = memoryAccess();
  const objects = sealedObjects(access, serverId);
  const owner = { nonce: 'own', earlier: [] };
  await using _uploading = uploadDependencies({
    ...{ access, serverId, owner, keys, dataDirectory: folder, logger: silentLogger },
    limits: { lookMs: 10, awayMs: 10, pauseFactor: 0 },
  });
  const uploaded = async (): Promise<Record<string, string>> => {
    const found: Record<string, string> = {};
    const take = async ({ key }: { key: string }, content: AsyncIterable<Buffer>): Promise<void> => {
      for await (const piece of content) found[key] = (found[key] ?? '') + String(piece);
    };
    await eachPackedBlob(createParcels(objects, keys.runner), 'dependencies', take, signal);
    return found;
  };
  const blobs = await openDiskBlobs({ directory: join(folder, 'dependencies') });
  await blobs.put('team/key/one', [Buffer.from('encrypted')] as never);
  await new Promise((done) => setTimeout(done, 50));
  expect(access.objects.size).toBe(0);
  await claimOwner(objects, owner, { key: keys.owner, signal });
  await expect.poll(uploaded).toEqual({ 'team/key/one': 'encrypted' });
  await blobs.delete('team/key/one');
  await expect.poll(uploaded).toEqual({});
});
