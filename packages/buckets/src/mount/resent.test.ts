import { constants } from 'node:fs';
import { expect, test } from 'vitest';
import { openBucket, requestOf } from '../testing/held-bucket.ts';

// A process made an object and was killed before its answer, so the kernel sends the request again.

const root = 1;
const name = Buffer.from('new');
const first = requestOf({ isResent: false });
const again = requestOf({ isResent: true });
const newFile = constants.O_WRONLY | constants.O_EXCL;

test('a file that must be new is opened by the repeated request, and written', async () => {
  const { fs, store } = await openBucket();
  await store.put('new', Buffer.alloc(0));
  const { entry, open } = await fs.create(root, name, 0o644, newFile, again);
  expect(entry.attr.size).toBe(0);
  await fs.write(entry.nodeId, open.fh, 0, Buffer.from('content'), {} as never, first);
  await fs.flush(entry.nodeId, open.fh, {} as never, first);
  expect((await store.stat('new'))?.sizeBytes).toBe(7);
});

test('an object that somebody else has filled is no new file, also for a repeated request', async () => {
  const { fs, store } = await openBucket();
  await store.put('new', Buffer.from('content'));
  await expect(fs.create(root, name, 0o644, newFile, again)).rejects.toMatchObject({ code: 'EEXIST' });
  await expect(fs.mknod(root, name, constants.S_IFREG, 0, again)).rejects.toMatchObject({ code: 'EEXIST' });
});

test('an empty object is no new file for a request that was not repeated', async () => {
  const { fs, store } = await openBucket();
  await store.put('new', Buffer.alloc(0));
  await expect(fs.create(root, name, 0o644, newFile, first)).rejects.toMatchObject({ code: 'EEXIST' });
  await expect(fs.mknod(root, name, constants.S_IFREG, 0, first)).rejects.toMatchObject({ code: 'EEXIST' });
  expect(await fs.mknod(root, name, constants.S_IFREG, 0, again)).toMatchObject({ attr: { size: 0 } });
});
