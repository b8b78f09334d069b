import { constants } from 'node:fs';
import type { FuseFs } from '@soulbox/fuse';
import { expect, test } from 'vitest';
import { openBucket, requestOf } from '../testing/held-bucket.ts';

// The store answers a question about an object, and the answer arrives after a write of this mount.

const root = 1;
const log = Buffer.from('log');
const context = requestOf({ isResent: false });

const writeOptions = {} as Parameters<Required<FuseFs>['write']>[4];
const owner = {} as Parameters<Required<FuseFs>['flush']>[2];

async function write(fs: Required<FuseFs>, nodeId: number, fh: number, content: string): Promise<void> {
  await fs.write(nodeId, fh, 0, Buffer.from(content), writeOptions, context);
  await fs.flush(nodeId, fh, owner, context);
}

test('a name keeps its file, although the answer is older than the last write to it', async () => {
  const { fs, hold } = await openBucket();
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
  const { fs, hold } = await openBucket();
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
  const { fs, hold } = await openBucket();
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
