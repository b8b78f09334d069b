import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { removeTree } from '@soulbox/base';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { findStorageFaults } from './config.ts';
import { inheritStoragePlace, openStoragePlace, storagePlaceIn } from './place.ts';

let folder: string;
beforeEach(async () => void (folder = await mkdtemp(join(tmpdir(), 'storage-place-'))));
afterEach(async () => await removeTree(folder));

test('each start has its own word and knows those of all starts before', async () => {
  const [first, second, third] = [
    await openStoragePlace(folder),
    await openStoragePlace(folder),
    await openStoragePlace(folder),
  ];
  expect(third.serverId).toBe(first.serverId);
  expect(third.owner.earlier).toEqual([first.owner.nonce, second.owner.nonce]);
  expect(new Set([...third.owner.earlier, third.owner.nonce]).size).toBe(3);
});

test('the first start of a recovered folder takes over from the last start of the lost one', async () => {
  await inheritStoragePlace(folder, 'a'.repeat(20), ['last']);
  expect(await openStoragePlace(folder)).toMatchObject({ serverId: 'a'.repeat(20), owner: { earlier: ['last'] } });
});

test.each(['', '{}', '{"format":1,"serverId":"../x","nonces":["a"]}', '{"format":2}'])(
  'a damaged file (%j) stops the start',
  async (text) => {
    await writeFile(storagePlaceIn(folder), text);
    await expect(openStoragePlace(folder)).rejects.toMatchObject({ reason: 'config_invalid' });
  },
);

test('settings that make no sense together are named', () => {
  const none = { url: '', credentialsFile: '', keyFile: '', localMb: 0, volumeLocalMb: 0 };
  expect(findStorageFaults(none)).toEqual([]);
  expect(findStorageFaults({ ...none, url: 'file:///x' })).toEqual([
    expect.stringMatching(/^SOULBOX_STORAGE_KEY_FILE/),
  ]);
  expect(findStorageFaults({ ...none, volumeLocalMb: 5 })).toEqual([expect.stringMatching(/^SOULBOX_VOLUME_LOCAL_MB/)]);
  expect(findStorageFaults({ ...none, credentialsFile: '/x' })).toEqual([
    expect.stringMatching(/^SOULBOX_STORAGE_CREDENTIALS_FILE/),
  ]);
  expect(findStorageFaults({ ...none, url: 'file:///x', keyFile: '/k' })).toEqual([]);
});
