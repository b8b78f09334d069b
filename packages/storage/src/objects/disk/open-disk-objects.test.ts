import { execFile } from 'node:child_process';
import { link, mkdir, mkdtemp, readdir, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { removeTree } from '@soulbox/base';
import { afterAll, afterEach, beforeEach, expect, test } from 'vitest';
import { describeObjects } from '../../conformance/objects.ts';
import { listManyObjects, passLargeObject } from '../../testing/sizes.ts';
import type { ObjectStore } from '../object-store.ts';
import { openObjectStore } from '../open-object-store.ts';

const suiteFolder = await mkdtemp(join(tmpdir(), 'soulbox-objects-'));
afterAll(async () => await removeTree(suiteFolder));
describeObjects('a folder', {
  open: (prefix) => openObjectStore(`file://${suiteFolder}/all`, {}).then((store) => within(store, prefix)),
  lacks: ['sign-get', 'sign-put'],
});

/** A folder has no prefix of its own: another folder does the same. */
function within(store: ObjectStore, prefix: string): ObjectStore {
  if (prefix === '') return store;
  const strip = (key: string): string => key.slice(prefix.length);
  return {
    ...store,
    put: (key, ...rest) => store.put(prefix + key, ...rest),
    stat: (key, ...rest) => store.stat(prefix + key, ...rest),
    list: async (query = {}) => {
      const page = await store.list({ ...query, prefix: prefix + (query.prefix ?? '') });
      return { ...page, objects: page.objects.map((object) => ({ ...object, key: strip(object.key) })) };
    },
  };
}

let folder: string;
let store: ObjectStore;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'soulbox-objects-'));
  store = await openObjectStore(`file://${folder}/store`);
});
afterEach(async () => await removeTree(folder));

const keys = async (): Promise<string[]> => (await store.list()).objects.map(({ key }) => key);

test('files of others, links and pipes are no objects', async () => {
  await store.put('a', Buffer.from('1'));
  const root = join(folder, 'store');
  await writeFile(join(folder, 'secret'), 'of the host');
  await symlink(join(folder, 'secret'), join(root, 'linked'));
  await symlink(folder, join(root, 'up+'));
  await promisify(execFile)('mkfifo', [join(root, 'pipe')]);
  await mkdir(join(root, 'folder'));
  await writeFile(join(root, '%41'), 'another name of A');
  expect(await keys()).toEqual(['a']);
  for (const key of ['linked', 'pipe', 'folder', 'A']) {
    await expect(store.get(key), key).rejects.toMatchObject({ reason: 'storage_not_found' });
    expect(await store.stat(key)).toBeUndefined();
  }
});

test('an object is written durably, with a mode for its owner only, and leaves no folders when it is deleted', async () => {
  await store.put('a/b/c', Buffer.from('1'));
  const root = join(folder, 'store');
  expect((await stat(join(root, 'a+/b+/c'))).mode & 0o777).toBe(0o600);
  await store.delete('a/b/c');
  expect((await readdir(root)).filter((name) => !name.startsWith('.'))).toEqual([]);
});

test('of many processes that change a version, each change is kept', async () => {
  await store.put('counter', Buffer.from('0'));
  const program = `
    import { openObjectStore } from ${JSON.stringify(join(import.meta.dirname, '../index.ts'))};
    import { text } from 'node:stream/consumers';
    const store = await openObjectStore('file://${folder}/store');
    for (let done = 0; done < 15;) {
      const { info, body } = await store.get('counter');
      const next = String(Number(await text(body)) + 1);
      try {
        await store.put('counter', Buffer.from(next), { condition: { version: info.version } });
        done += 1;
      } catch (error) {
        if (error.reason !== 'storage_precondition_failed') throw error;
      }
    }`;
  await writeFile(join(folder, 'count.mts'), program);
  const run = () => promisify(execFile)(process.execPath, ['--conditions=soulbox-source', join(folder, 'count.mts')]);
  await Promise.all([run(), run()]);
  const { body } = await store.get('counter');
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  expect(Buffer.concat(chunks).toString()).toBe('30');
});

test('drafts of a killed process are removed after a day, others stay', async () => {
  const root = join(folder, 'store');
  for (const name of ['.draft-old', '.draft-new']) await writeFile(join(root, name), 'x');
  const old = Date.now() / 1000 - 25 * 3600;
  await utimes(join(root, '.draft-old'), old, old);
  await openObjectStore(`file://${folder}/store`);
  expect((await readdir(root)).filter((name) => name.startsWith('.draft'))).toEqual(['.draft-new']);
});

test('a part of a key that is too long for a file name is refused', async () => {
  await store.put('x'.repeat(254), Buffer.from('1'));
  await expect(store.put('x'.repeat(255), Buffer.from('1'))).rejects.toMatchObject({ reason: 'bad_request' });
  await expect(store.put('%'.repeat(100), Buffer.from('1'))).rejects.toMatchObject({ reason: 'bad_request' });
});

test('a file that gets a second name from outside stays one object', async () => {
  await store.put('a', Buffer.from('1'));
  await link(join(folder, 'store/a'), join(folder, 'store/b'));
  await store.put('a', Buffer.from('2'));
  expect((await store.stat('b'))?.sizeBytes).toBe(1);
});

test('a list of many entries is complete, in pages and at once', async () => {
  const { grownMib } = await listManyObjects(folder, 12_000);
  expect(grownMib).toBeLessThan(200);
  await using many = await openObjectStore(`file://${folder}/many`);
  await rm(join(folder, 'many/n00000500'));
  const page = await many.list({ limit: 1000 });
  expect(page.objects.map(({ key }) => key)).toEqual(
    Array.from({ length: 1001 }, (_, index) => `n${String(index).padStart(8, '0')}`).filter(
      (_, index) => index !== 500,
    ),
  );
});

test('a large object is passed in bounded memory, and an empty one is there', async () => {
  const { put, get } = await passLargeObject(store, 48);
  expect(Math.max(put.grownMib, get.grownMib)).toBeLessThan(200);
  await store.put('empty', Buffer.alloc(0));
  const { info, body } = await store.get('empty');
  expect(info.sizeBytes).toBe(0);
  for await (const chunk of body) expect(chunk).toHaveLength(0);
  expect(await keys()).toEqual(['empty']);
});
