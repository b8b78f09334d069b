import { mkdir, mkdtemp, open, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { silentLogger } from '@soulbox/base/logger';
import { createClearFolders } from './clear-folders.ts';
import { createDigester } from './digests/digester.ts';
import type { Digester } from './digests/digester.ts';
import { createDraft } from './draft.ts';
import type { CheckpointDraft } from './checkpoint-store.ts';
import { createFollower } from './follower.ts';
import { createKeptCopies } from './kept-copies.ts';
import { mib, patternOf, testFacts, testKeys } from './testing/test-store.ts';

let folder: string;
let digester: Digester;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'soulbox-follower-'));
  digester = createDigester();
});
afterEach(async () => {
  await digester[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

/** A draft that encrypts with another `encrypt`. */
async function draftWith(encrypt: Digester['encrypt']): Promise<CheckpointDraft> {
  const [directory, scratch, sealed] = ['parts', 'scratch', 'sealed'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  for (const path of [directory, scratch, sealed]) await mkdir(path);
  const clear = createClearFolders(folder, silentLogger);
  const tools = { digester: { ...digester, encrypt }, keys: testKeys(), clear, kept: createKeptCopies(clear) };
  const plan = { checkpointId: 's1', layers: [], directory, scratch, sealed, target: join(folder, 's1') };
  return createDraft(plan, tools, () => undefined);
}

async function overwrite(path: string, position: number): Promise<void> {
  const file = await open(path, 'r+');
  await file.write(Buffer.alloc(4096, 1), 0, 4096, position);
  await file.close();
}

test('a read that fails after it freed a block fails the seal, because that block reads as zeros', async () => {
  const failed = Promise.withResolvers<undefined>();
  let calls = 0;
  const encrypt: Digester['encrypt'] = async (copy, first, end, punch) => {
    calls += 1;
    if (calls > 1) return await digester.encrypt(copy, first, end, punch);
    // The first of several jobs ends, and the next one fails.
    await digester.encrypt(copy, first, first + 1, punch);
    failed.resolve(undefined);
    throw Object.assign(new Error('no space left'), { code: 'ENOSPC' });
  };
  await using draft = await draftWith(encrypt);
  const path = join(draft.directory, 'pages-1.img');
  await writeFile(path, patternOf(4 * mib));
  draft.follow(() => true);
  await failed.promise;
  expect((await readFile(path)).subarray(0, mib).every((byte) => byte === 0)).toBe(true);
  await expect(draft.seal(testFacts())).rejects.toMatchObject({
    cause: { message: 'pages-1.img could not be encrypted while it was written' },
  });
  expect(await readdir(folder)).not.toContain('s1');
});

test('where nothing can be freed, a part is sealed as it was when it was encrypted', async () => {
  const encrypted = Promise.withResolvers<undefined>();
  const encrypt: Digester['encrypt'] = async (copy, first, end) => {
    const made = await digester.encrypt(copy, first, end, false);
    encrypted.resolve(undefined);
    return made;
  };
  await using draft = await draftWith(encrypt);
  await writeFile(join(draft.directory, 'pages-1.img'), patternOf(3 * mib));
  draft.follow(() => true);
  await encrypted.promise;
  expect((await draft.seal(testFacts())).manifest.parts['pages-1.img']?.digests).toHaveLength(3);
});

test('a freed block that the file system keeps as zeros is not an error', async () => {
  const encrypted = Promise.withResolvers<undefined>();
  const encrypt: Digester['encrypt'] = async (copy, first, end, punch) => {
    const made = await digester.encrypt(copy, first, end, punch);
    encrypted.resolve(undefined);
    return made;
  };
  await using draft = await draftWith(encrypt);
  const path = join(draft.directory, 'pages-1.img');
  await writeFile(path, patternOf(3 * mib));
  draft.follow(() => true);
  await encrypted.promise;
  const file = await open(path, 'r+');
  await file.write(Buffer.alloc(mib), 0, mib, mib);
  await file.close();
  expect((await draft.seal(testFacts())).manifest.parts['pages-1.img']?.digests).toHaveLength(3);
});

test('blocks that are not freed may be written again', async () => {
  await using draft = await draftWith(async (...given) => await digester.encrypt(...given));
  const path = join(draft.directory, 'pages-1.img');
  await writeFile(path, patternOf(mib / 2));
  draft.follow(() => true);
  await overwrite(path, 0);
  await truncate(path, mib / 4);
  expect((await draft.seal(testFacts())).manifest.parts['pages-1.img']?.sizeBytes).toBe(mib / 4);
});

test('after one part failed, stop waits for the read of the other part', async () => {
  await writeFile(join(folder, 'a.img'), patternOf(mib));
  await writeFile(join(folder, 'b.img'), patternOf(mib));
  const held = Promise.withResolvers<undefined>();
  const failed = Promise.withResolvers<undefined>();
  let inFlight = 0;
  const follower = createFollower(
    folder,
    () => true,
    async ({ name }) => {
      if (name === 'a.img') {
        failed.resolve(undefined);
        throw new Error('no space left');
      }
      inFlight += 1;
      await held.promise;
      inFlight -= 1;
      return { seals: ['seal'], isFreed: true };
    },
  );
  await failed.promise;
  const stopped = follower.stop().then(() => inFlight);
  setTimeout(() => held.resolve(undefined), 50);
  expect(await stopped).toBe(0);
});
