import { randomBytes } from 'node:crypto';
import { beforeEach, expect, test } from 'vitest';
import { checkOwner, claimOwner, findOwner } from './owner.ts';
import { sealedObjects } from './sealed-objects.ts';
import type { SealedObjects } from './sealed-objects.ts';
import { memoryAccess } from './testing/memory-access.ts';
import type { MemoryAccess } from './testing/memory-access.ts';

const options = { key: randomBytes(32), signal: new AbortController().signal };
const taken = { reason: 'storage_taken' };
let access: MemoryAccess;
let objects: SealedObjects;
beforeEach(() => {
  access = memoryAccess();
  objects = sealedObjects(access, 'a'.repeat(20));
});
const claim = async (nonce: string, earlier: string[] = []): Promise<void> =>
  await claimOwner(objects, { nonce, earlier }, options);

test('each start of a server takes over from the one before, also from one that never reached the store', async () => {
  await claim('1');
  await claim('1');
  await claim('3', ['1', '2']);
  await checkOwner(objects, '3', options);
  await expect(checkOwner(objects, '1', options)).rejects.toMatchObject(taken);
  expect(await findOwner(objects, options)).toMatchObject({ nonce: '3' });
});

test('a copy of the data folder that starts later is refused', async () => {
  await claim('1');
  await claim('2', ['1']);
  await expect(claim('copy', ['1'])).rejects.toMatchObject(taken);
  await checkOwner(objects, '2', options);
});

test('of two copies that start at once, one is refused', async () => {
  await claim('1');
  const outcomes = await Promise.allSettled([claim('2', ['1']), claim('copy', ['1'])]);
  expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
});

test('an owner that another key has written is damaged, not taken', async () => {
  await claim('1');
  const other = { ...options, key: randomBytes(32) };
  await expect(claimOwner(objects, { nonce: '1', earlier: [] }, other)).rejects.toMatchObject({
    reason: 'storage_damaged',
  });
});
