import { join } from 'node:path';
import { Readable } from 'node:stream';
import { openDiskBlobs } from '@soulbox/storage';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { openKeyring } from '../keyring.ts';
import { rotateMasterKey } from '../rotate.ts';
import { makeKeyFolder } from '../testing/key-folder.ts';
import type { KeyFolder } from '../testing/key-folder.ts';
import { openRootKey } from './root-key.ts';
import { sealBlobs } from './sealed-blobs.ts';

let folder: KeyFolder;
beforeEach(async () => {
  folder = await makeKeyFolder();
});
afterEach(() => folder[Symbol.asyncDispose]());

const openStores = async () => ({
  uploads: await openDiskBlobs({ directory: join(folder.path, 'uploads') }),
  functions: await openDiskBlobs({ directory: join(folder.path, 'functions') }),
});
const open = async (): Promise<{ id: string; key: string }> => {
  using keyring = await openKeyring({ records: folder.records.keyring, sources: [folder.source] });
  using root = await openRootKey(folder.records.blobRootKeys, keyring, { now: 1, stores: await openStores() });
  return { id: root.id, key: Buffer.from(root.key).toString('hex') };
};

it('is created once, is not readable in the records, and survives a rotation that removes the old master key', async () => {
  const made = await open();
  expect(await open()).toEqual(made);
  const [row] = folder.query('SELECT * FROM blob_root_keys');
  expect(row).toMatchObject({ id: made.id, created_at: 1 });
  expect(JSON.stringify(row)).not.toContain(Buffer.from(made.key, 'hex').toString('base64'));
  const rotation = await rotateMasterKey({
    ...{ records: [folder.records.keyring], sources: [folder.source] },
    keepOld: false,
  });
  expect(rotation.retired).toMatchObject([{ isRemoved: true }]);
  expect(await open()).toEqual(made);
});

it('is refused when it was altered, or its data key is lost, and no other one is created', async () => {
  const made = await open();
  folder.query("UPDATE blob_root_keys SET sealed_key = sealed_key || 'x'");
  await expect(open()).rejects.toMatchObject({ reason: 'state_damaged' });
  folder.query('UPDATE blob_root_keys SET sealed_key = substr(sealed_key, 1, length(sealed_key) - 1)');
  expect(await open()).toEqual(made);
  folder.query("UPDATE blob_root_keys SET id = '00'");
  await expect(open()).rejects.toMatchObject({ reason: 'state_damaged' });
  folder.query('DELETE FROM data_keys');
  await expect(open()).rejects.toMatchObject({ reason: 'state_damaged' });
  expect(folder.query('SELECT id FROM blob_root_keys')).toHaveLength(1);
});

it('is not replaced by the one of a start that was slower', async () => {
  const { blobRootKeys } = folder.records;
  await blobRootKeys.add({ id: 'a', sealedKey: 'x', createdAt: 1 });
  await blobRootKeys.add({ id: 'b', sealedKey: 'y', createdAt: 2 });
  expect(await blobRootKeys.find()).toEqual({ id: 'a', sealedKey: 'x', createdAt: 1 });
});

it('is not created again while a blob is encrypted with the old one', async () => {
  const made = await open();
  const stores = await openStores();
  for (let n = 0; n < 40; n++) await stores.uploads.put(`t/readable${n}`, Readable.from([Buffer.from('old')]));
  const root = { id: made.id, key: Buffer.from(made.key, 'hex') };
  const sealed = sealBlobs(stores.functions, { store: 'functions', root, mayBeReadable: false });
  await sealed.put('kv/n/x', Readable.from([Buffer.from('value')]));
  folder.query('DELETE FROM blob_root_keys');
  await expect(open()).rejects.toMatchObject({
    reason: 'master_key_missing',
    message: expect.stringContaining(`functions/kv/n/x is encrypted with the root key ${made.id}`) as string,
  });
  expect(folder.query('SELECT id FROM blob_root_keys')).toEqual([]);
  await sealed.delete('kv/n/x');
  expect((await open()).id).not.toBe(made.id);
});
