import { constants } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { removeTree } from '@soulbox/base';
import type { FuseContext, FuseFs } from '@soulbox/fuse';
import { openObjectStore } from '@soulbox/storage/objects';
import { expect, onTestFinished, test } from 'vitest';
import { createReadBudget } from '../content/read-budget.ts';
import { createScratchSpace } from '../content/scratch.ts';
import { createBucketFs } from '../create-bucket-fs.ts';

// The store answers a question about an object, and the answer arrives after a write of this mount.

const root = 1;
const log = Buffer.from('log');
const context: FuseContext = {
  ...{ uid: 0, gid: 0, pid: 1, unique: 1, isResent: false, encodeReply: () => Buffer.alloc(0) },
  signal: new AbortController().signal,
};

interface HeldStore {
  readonly fs: Required<FuseFs>;
  /** The next answer of `stat` waits until `release` is called. */
  readonly hold: () => { readonly asked: Promise<unknown>; readonly release: () => void };
}

async function openHeld(): Promise<HeldStore> {
  const folder = await mkdtemp(join(tmpdir(), 'soulbox-bucket-'));
  const store = await openObjectStore(`file://${join(folder, 'store')}`);
  let held: { readonly asked: () => void; readonly released: Promise<unknown> } | undefined;
  const bucket = createBucketFs(
    {
      ...store,
      async stat(key, options) {
        const info = await store.stat(key, options);
        const wait = held;
        held = undefined;
        wait?.asked();
        await wait?.released;
        return info;
      },
    },
    {
      ...{ folder: join(folder, 'state'), rememberMs: 0 },
      ...{ space: createScratchSpace(1024 ** 2), budget: createReadBudget(1024 ** 2) },
    },
  );
  onTestFinished(async () => {
    await bucket[Symbol.asyncDispose]();
    await store[Symbol.asyncDispose]();
    await removeTree(folder);
  });
  return {
    fs: bucket.fs as Required<FuseFs>,
    hold() {
      const asked = Promise.withResolvers<undefined>();
      const released = Promise.withResolvers<undefined>();
      held = { asked: () => asked.resolve(undefined), released: released.promise };
      return { asked: asked.promise, release: () => released.resolve(undefined) };
    },
  };
}

const writeOptions = {} as Parameters<Required<FuseFs>['write']>[4];
const owner = {} as Parameters<Required<FuseFs>['flush']>[2];

async function write(fs: Required<FuseFs>, nodeId: number, fh: number, content: string): Promise<void> {
  await fs.write(nodeId, fh, 0, Buffer.from(content), writeOptions, context);
  await fs.flush(nodeId, fh, owner, context);
}

test('a name keeps its file, although the answer is older than the last write to it', async () => {
  const { fs, hold } = await openHeld();
  const { entry, open } = await fs.create(root, log, 0o644, constants.O_WRONLY, context);
  await write(fs, entry.nodeId, open.fh, 'first');
  const late = hold();
  const looking = Promise.resolve(fs.lookup(root, log, context));
  await late.asked;
  await write(fs, entry.nodeId, open.fh, 'second');
  late.release();
  expect(await looking).toMatchObject({ nodeId: entry.nodeId, attr: { ino: entry.attr.ino, size: 6 } });
  const { attr } = await fs.getattr(entry.nodeId, open.fh, context);
  expect(attr).toMatchObject({ ino: entry.attr.ino, size: 6 });
});

test('a name keeps its file, although it was opened and written while the store was asked', async () => {
  const { fs, hold } = await openHeld();
  const made = await fs.create(root, log, 0o644, constants.O_WRONLY, context);
  const { nodeId } = made.entry;
  await write(fs, nodeId, made.open.fh, 'first');
  await fs.release(nodeId, made.open.fh, undefined, context);
  const late = hold();
  const looking = Promise.resolve(fs.lookup(root, log, context));
  await late.asked;
  const { fh } = await fs.open(nodeId, constants.O_WRONLY, false, context);
  await write(fs, nodeId, fh, 'second');
  late.release();
  expect(await looking).toMatchObject({ nodeId, attr: { size: 6 } });
});

test('a file is opened as it was written last, although the answer is older', async () => {
  const { fs, hold } = await openHeld();
  const { entry, open } = await fs.create(root, log, 0o644, constants.O_WRONLY, context);
  await write(fs, entry.nodeId, open.fh, 'first');
  const late = hold();
  const opening = Promise.resolve(fs.open(entry.nodeId, constants.O_RDONLY, false, context));
  await late.asked;
  await write(fs, entry.nodeId, open.fh, 'second');
  late.release();
  const { fh } = await opening;
  expect(String(Buffer.concat([await fs.read(entry.nodeId, fh, 0, 100, context)].flat()))).toBe('second');
});
