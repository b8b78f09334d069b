import { mkdir, open, readdir, readFile, rename, stat, symlink, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openCheckpointStore } from './open-checkpoint-store.ts';
import type { TestStore } from './testing/test-store.ts';
import {
  hashesOf,
  mib,
  openTestStore,
  patternOf,
  readParts,
  sealTestCheckpoint,
  testFacts,
  testOptions,
} from './testing/test-store.ts';

let shop: TestStore;
beforeEach(async () => {
  shop = await openTestStore();
});
afterEach(() => shop[Symbol.asyncDispose]());

const checkpointsIn = (): Promise<string[]> => readdir(join(shop.directory, 'states'));

test('a draft is neither listed nor found, and is removed when it is disposed', async () => {
  {
    await using draft = await shop.store.begin('s1');
    await writeFile(join(draft.directory, 'a.img'), 'a');
    expect(await shop.store.list()).toEqual([]);
    expect(await shop.store.find('s1')).toBeUndefined();
  }
  expect(await checkpointsIn()).toEqual([]);
});

test('a draft that a crash left behind is removed when the store opens', async () => {
  await sealTestCheckpoint(shop.store, 's1');
  await mkdir(join(shop.directory, 'states', 's2.draft'));
  await writeFile(join(shop.directory, 'states', 's2.draft', 'manifest.json'), '{}');
  await mkdir(join(shop.directory, 'states', 's3.removed'));
  await writeFile(join(shop.directory, 'layers', 'l1.json.1.2.tmp'), '{');
  const store = await shop.reopen();
  expect(await checkpointsIn()).toEqual(['s1']);
  expect(await readdir(join(shop.directory, 'layers'))).toEqual([]);
  await (await store.open('s1')).verify();
});

test('an id is used once: not for two drafts, and not for a draft beside a sealed checkpoint', async () => {
  await using draft = await shop.store.begin('s1');
  await expect(shop.store.begin('s1')).rejects.toMatchObject({ reason: 'name_taken' });
  await draft.seal(testFacts());
  await expect(shop.store.begin('s1')).rejects.toMatchObject({ reason: 'name_taken' });
});

test('an id is free again after its draft was disposed', async () => {
  await (await shop.store.begin('s1'))[Symbol.asyncDispose]();
  await sealTestCheckpoint(shop.store, 's1');
});

test('disposing a sealed draft leaves the checkpoint alone', async () => {
  const draft = await shop.store.begin('s1');
  await draft.seal(testFacts());
  await draft[Symbol.asyncDispose]();
  await (await shop.store.open('s1')).verify();
});

test.for(['', '.', '..', '../s', 'a/b', '/etc', 'a.draft', 'a\0b', 'ä', 'x'.repeat(65), 'a b', 'a\n'])(
  '%j is refused as an id everywhere',
  async (id) => {
    const { store } = shop;
    const refused = { reason: 'bad_request' };
    await expect(store.begin(id)).rejects.toMatchObject(refused);
    await expect(store.open(id)).rejects.toMatchObject(refused);
    await expect(store.find(id)).rejects.toMatchObject(refused);
    await expect(store.remove(id)).rejects.toMatchObject(refused);
    await expect(store.sealLayer(id)).rejects.toMatchObject(refused);
    await expect(store.verifyLayer(id)).rejects.toMatchObject(refused);
    expect(() => store.layerPath(id)).toThrow(expect.objectContaining(refused) as Error);
  },
);

describe('anything but a plain part fails the seal, and nothing is published', () => {
  const strange: Readonly<Record<string, (directory: string) => Promise<void>>> = {
    'a folder': (directory) => mkdir(join(directory, 'folder')).then(() => undefined),
    'a link': (directory) => symlink('/etc/passwd', join(directory, 'link.img')),
    'a hidden file': (directory) => writeFile(join(directory, '.x'), ''),
    'a name with a line feed': (directory) => writeFile(join(directory, 'a\nb'), ''),
    'a name that objects have already': (directory) => writeFile(join(directory, '__proto__'), ''),
  };
  test.for(Object.keys(strange))('%s', async (kind) => {
    {
      await using draft = await shop.store.begin('s1');
      await strange[kind]?.(draft.directory);
      await expect(draft.seal(testFacts())).rejects.toMatchObject({ reason: 'internal' });
    }
    expect(await checkpointsIn()).toEqual([]);
  });
});

test('a manifest that a driver left in its folder is replaced, not used', async () => {
  await using draft = await shop.store.begin('s1');
  await writeFile(join(draft.directory, 'manifest.json'), '{}');
  expect((await draft.seal(testFacts())).manifest.parts).toEqual({});
});

describe('following a driver that still writes', () => {
  const content = patternOf(20.3 * mib, 5);

  /** Appends `content` in pieces that do not fit blocks. */
  async function append(path: string, bytes: Buffer): Promise<void> {
    const file = await open(path, 'a');
    for (let at = 0; at < bytes.length; at += 700_001) {
      await file.write(bytes.subarray(at, at + 700_001));
      await delay(2);
    }
    await file.close();
  }

  /** Waits until all complete blocks of `content` are encrypted, and the draft has heard of it. */
  async function untilEncrypted(part: string): Promise<void> {
    const sealed = join(shop.directory, 'states', 's1.draft', part);
    await expect
      .poll(async () => (await stat(sealed).catch(() => undefined))?.size ?? 0, { timeout: 10_000 })
      .toBeGreaterThanOrEqual(20 * mib);
    await delay(50);
  }

  test('gives the same content as encrypting the finished parts', async () => {
    await using draft = await shop.store.begin('s1');
    draft.follow((name) => name.startsWith('pages'));
    const other = content.subarray(0, 3 * mib + 1);
    await Promise.all([
      append(join(draft.directory, 'pages-1.img'), content),
      append(join(draft.directory, 'pages-2.img'), other),
      append(join(draft.directory, 'core.img'), other),
    ]);
    const checkpoint = await draft.seal(testFacts());
    expect(await readParts(checkpoint)).toEqual(
      hashesOf({ 'pages-1.img': content, 'pages-2.img': other, 'core.img': other }),
    );
  });

  test('refuses a part that became shorter than what is encrypted', async () => {
    await using draft = await shop.store.begin('s1');
    draft.follow(() => true);
    const path = join(draft.directory, 'pages-1.img');
    await append(path, content);
    await untilEncrypted('pages-1.img');
    await truncate(path, 0);
    await append(path, content.subarray(1, 2 * mib));
    await expect(draft.seal(testFacts())).rejects.toMatchObject({ reason: 'internal' });
    expect(await checkpointsIn()).toEqual(['s1.draft']);
  });

  test('forgets a part that was replaced by another file', async () => {
    await using draft = await shop.store.begin('s1');
    draft.follow((name) => name === 'pages-1.img');
    const path = join(draft.directory, 'pages-1.img');
    await append(path, content);
    await untilEncrypted('pages-1.img');
    await writeFile(`${path}.new`, content.subarray(1, 2 * mib));
    await rename(`${path}.new`, path);
    expect(await readParts(await draft.seal(testFacts()))).toEqual(
      hashesOf({ 'pages-1.img': content.subarray(1, 2 * mib) }),
    );
  });

  test('frees nothing of a longer file that replaced a part', async () => {
    await using draft = await shop.store.begin('s1');
    draft.follow((name) => name === 'pages-1.img');
    const path = join(draft.directory, 'pages-1.img');
    await append(path, content.subarray(0, mib));
    await delay(50);
    const longer = patternOf(5.5 * mib, 11);
    await writeFile(`${path}.new`, longer);
    await rename(`${path}.new`, path);
    await delay(100);
    expect(await readParts(await draft.seal(testFacts()))).toEqual(hashesOf({ 'pages-1.img': longer }));
  });

  test('refuses a part whose beginning was written again after it was encrypted', async () => {
    await using draft = await shop.store.begin('s1');
    draft.follow((name) => name === 'pages-1.img');
    const path = join(draft.directory, 'pages-1.img');
    await append(path, content);
    await untilEncrypted('pages-1.img');
    const file = await open(path, 'r+');
    await file.write(Buffer.alloc(4096, 1), 0, 4096, 0);
    await file.close();
    await expect(draft.seal(testFacts())).rejects.toMatchObject({
      cause: { message: 'block 0 of pages-1.img was written again after it was encrypted' },
    });
    expect(await checkpointsIn()).toEqual(['s1.draft']);
  });

  test('can be sealed immediately after its start, and disposed while it reads', async () => {
    await using first = await shop.store.begin('s1');
    await writeFile(join(first.directory, 'pages-1.img'), content);
    first.follow(() => true);
    await (await first.seal(testFacts())).verify();
    const second = await shop.store.begin('s2');
    second.follow(() => true);
    await writeFile(join(second.directory, 'pages-1.img'), content);
    await second[Symbol.asyncDispose]();
    expect(await checkpointsIn()).toEqual(['s1']);
  });
});

test('two stores cannot share a folder, and the second can open it after the first is closed', async () => {
  const options = testOptions(shop.directory);
  await using draft = await shop.store.begin('s1');
  await expect(openCheckpointStore(options)).rejects.toMatchObject({ reason: 'name_taken' });
  expect(await readdir(draft.directory)).toEqual([]);
  await draft.seal(testFacts());
  await (await shop.reopen()).open('s1');
});

test('removing a checkpoint again, or one that never existed, does nothing', async () => {
  await sealTestCheckpoint(shop.store, 's1');
  await shop.store.remove('s1');
  await shop.store.remove('s1');
  await shop.store.remove('never');
  expect(await checkpointsIn()).toEqual([]);
});

test('only the owner can read a manifest', async () => {
  const checkpoint = await sealTestCheckpoint(shop.store, 's1');
  const file = await open(join(checkpoint.directory, 'manifest.json'));
  expect((await file.stat()).mode & 0o777).toBe(0o600);
  await file.close();
  expect(await readFile(join(checkpoint.directory, 'manifest.json'), 'utf8')).toContain('"format":2');
});
