import { noEnd } from '@soulbox/fuse';
import { expect, test } from 'vitest';
import { fileBytesMax, xattrBytesMax } from '../limits.ts';
import { fsOf, makeVolume } from '../testing/fresh-volume.ts';
import { createRequests } from '../testing/requests.ts';
import { openVolume } from '../volume/open.ts';

const request = createRequests();
const bytes = (name: string): Buffer => Buffer.from(name);
const options = { flags: 0, isWriteback: false, killSuidgid: false };

test('names are bytes of up to 255, and those that no name can be are refused', async () => {
  await using fresh = await makeVolume();
  const { fs } = fresh;
  const odd = Buffer.from([0xff, 0xfe, 0x0a, 0x80]);
  for (const name of [odd, Buffer.alloc(255, 0x61)]) {
    const made = await fs.mkdir(1, name, 0o755, request());
    expect(await fs.lookup(1, name, request())).toMatchObject({ nodeId: made.nodeId });
  }
  const listed = [...(await fs.readdir(1, 0, 0, 100, false, request()))].map(({ name }) => Buffer.from(name));
  expect(listed.some((name) => name.equals(odd))).toBe(true);
  const long = Buffer.alloc(256, 0x61);
  await expect(async () => await fs.lookup(1, long, request())).rejects.toMatchObject({ code: 'ENAMETOOLONG' });
  for (const [name, code] of [
    [long, 'ENAMETOOLONG'],
    [bytes('..'), 'EEXIST'],
    [bytes('.'), 'EEXIST'],
    [bytes('a/b'), 'EINVAL'],
    [bytes('a\0b'), 'EINVAL'],
    [Buffer.alloc(0), 'EINVAL'],
  ] as const)
    await expect(fs.mkdir(1, name, 0o755, request())).rejects.toMatchObject({ code });
  await expect(fs.symlink(1, bytes('l'), Buffer.alloc(4096, 0x61), request())).rejects.toMatchObject({
    code: 'ENAMETOOLONG',
  });
});

test('huge sizes cost nothing, and those beyond the limit are refused', async () => {
  await using fresh = await makeVolume();
  const { fs } = fresh;
  const { nodeId } = (await fs.create(1, bytes('f'), 0o644, 0, request())).entry;
  const resize = (size: number): unknown => fs.setattr(nodeId, { size, killSuidgid: false }, request());
  await resize(fileBytesMax);
  await fs.write(nodeId, 0, fileBytesMax - 3, bytes('end'), options, request());
  expect(await fs.lseek(nodeId, 0, 0, 3, request())).toBeGreaterThan(fileBytesMax - 5_000_000);
  expect(await fs.read(nodeId, 0, fileBytesMax - 3, 100, request())).toEqual(bytes('end'));
  await fs.fallocate(nodeId, 0, 3, 0, fileBytesMax, request());
  await resize(1);
  expect((await fs.getattr(nodeId, undefined, request())).attr).toMatchObject({ size: 1, blocks: 0 });
  await expect(resize(fileBytesMax + 1)).rejects.toMatchObject({ code: 'EFBIG' });
  await expect(fs.write(nodeId, 0, fileBytesMax, bytes('x'), options, request())).rejects.toMatchObject({
    code: 'EFBIG',
  });
  await expect(fs.lseek(nodeId, 0, 1, 3, request())).rejects.toMatchObject({ code: 'ENXIO' });
});

test('extended attributes have a limit for each and for all of a file', async () => {
  await using fresh = await makeVolume();
  const { fs } = fresh;
  const set = (name: string, length: number): unknown =>
    fs.setxattr(1, bytes(name), Buffer.alloc(length), 0, request());
  await expect(set('user.a', 65_537)).rejects.toMatchObject({ code: 'E2BIG' });
  await expect(set(`user.${'a'.repeat(251)}`, 1)).rejects.toMatchObject({ code: 'ERANGE' });
  await set('user.a', 60_000);
  await expect(set('user.b', xattrBytesMax - 60_000 - 11)).rejects.toMatchObject({ code: 'ENOSPC' });
  await set('user.b', xattrBytesMax - 60_000 - 12);
  await expect(set('system.posix_acl_access', 4)).rejects.toMatchObject({ code: 'ENOTSUP' });
  await expect(fs.setxattr(1, bytes('user.a'), bytes('x'), 1, request())).rejects.toMatchObject({ code: 'EEXIST' });
  await expect(fs.setxattr(1, bytes('user.z'), bytes('x'), 2, request())).rejects.toMatchObject({ code: 'ENODATA' });
});

test('a quota is enforced for bytes and for inodes, and what is deleted is free again', async () => {
  await using fresh = await makeVolume({ quota: { bytes: 100_000, inodes: 4 } });
  const { fs } = fresh;
  const create = async (name: string): Promise<number> =>
    (await fs.create(1, bytes(name), 0o644, 0, request())).entry.nodeId;
  const file = await create('a');
  const write = (offset: number, length: number): unknown =>
    fs.write(file, 0, offset, Buffer.alloc(length, 1), options, request());
  await write(0, 90_000);
  await expect(write(90_000, 10_001)).rejects.toMatchObject({ code: 'EDQUOT' });
  await write(50_000, 40_000);
  await write(90_000, 10_000);
  await expect(fs.setxattr(1, bytes('user.a'), bytes('x'), 0, request())).rejects.toMatchObject({ code: 'EDQUOT' });
  expect(fs.statfs(1, request())).toMatchObject({ blocks: 24, bfree: 0, files: 4, ffree: 2 });
  await create('b');
  await fs.link(file, 1, bytes('c'), request());
  await expect(create('d')).rejects.toMatchObject({ code: 'EDQUOT' });
  await expect(fs.link(file, 1, bytes('d'), request())).rejects.toMatchObject({ code: 'EDQUOT' });
  await fs.unlink(1, bytes('c'), request());
  await fs.unlink(1, bytes('a'), request());
  // It is still open.
  await expect(write(100_000, 1)).rejects.toMatchObject({ code: 'EDQUOT' });
  fs.forget(file);
  await expect.poll(() => fresh.volume.metadata.facts().usage).toEqual({ bytes: 0, inodes: 2 });
});

test('a change of a full volume waits for files that were deleted a moment ago, and not for open ones', async () => {
  await using fresh = await makeVolume({ quota: { bytes: 100_000, inodes: 3 } });
  const { fs } = fresh;
  const create = async (name: string): Promise<number> =>
    (await fs.create(1, bytes(name), 0o644, 0, request())).entry.nodeId;
  const write = async (file: number, length: number): Promise<number> =>
    await fs.write(file, 0, 0, Buffer.alloc(length, 1), options, request());
  const removed = await create('removed');
  await write(removed, 100_000);
  const file = await create('file');
  await fs.unlink(1, bytes('removed'), request());
  // As a kernel does it: after its answer to the program.
  setTimeout(() => fs.forget(removed), 30);
  expect(await Promise.all([write(file, 90_000), create('other')])).toEqual([90_000, expect.any(Number)]);
  await fs.unlink(1, bytes('file'), request());
  await expect(create('more').then((more) => write(more, 20_000))).rejects.toMatchObject({ code: 'EDQUOT' });
});

test('a folder cannot be moved into itself, nor a removed one get entries', async () => {
  await using fresh = await makeVolume();
  const { fs } = fresh;
  const outer = (await fs.mkdir(1, bytes('outer'), 0o755, request())).nodeId;
  const inner = (await fs.mkdir(outer, bytes('inner'), 0o755, request())).nodeId;
  await expect(fs.rename(1, bytes('outer'), inner, bytes('x'), 0, request())).rejects.toMatchObject({ code: 'EINVAL' });
  await expect(fs.rename(outer, bytes('inner'), 1, bytes('outer'), 2, request())).rejects.toMatchObject({
    code: 'EINVAL',
  });
  await fs.rmdir(outer, bytes('inner'), request());
  await expect(fs.mkdir(inner, bytes('x'), 0o755, request())).rejects.toMatchObject({ code: 'ENOENT' });
  expect([...(await fs.readdir(inner, 0, 2, 10, false, request()))]).toEqual([]);
});

test('a write, a truncation and a chown clear setuid, and a folder hands down its group', async () => {
  await using fresh = await makeVolume();
  const { fs } = fresh;
  const { nodeId } = (await fs.create(1, bytes('p'), 0o6755, 0, request())).entry;
  const mode = async (): Promise<string> => (await fs.getattr(nodeId, undefined, request())).attr.mode.toString(8);
  const chmod = (): unknown => fs.setattr(nodeId, { mode: 0o6755, killSuidgid: false }, request());
  await fs.setxattr(nodeId, bytes('security.capability'), bytes('x'), 0, request());
  await fs.write(nodeId, 0, 0, bytes('x'), options, request());
  expect(await mode()).toBe('106755');
  expect(await fs.listxattr(nodeId, request())).toEqual([]);
  await fs.write(nodeId, 0, 0, bytes('x'), { ...options, killSuidgid: true }, request());
  expect(await mode()).toBe('100755');
  await chmod();
  await fs.setattr(nodeId, { size: 0, killSuidgid: true }, request());
  expect(await mode()).toBe('100755');
  await chmod();
  await fs.setattr(nodeId, { uid: 5, killSuidgid: false }, request());
  expect(await mode()).toBe('100755');
  const shared = (await fs.mkdir(1, bytes('shared'), 0o2775, request({ gid: 42 }))).nodeId;
  const sub = await fs.mkdir(shared, bytes('sub'), 0o755, request({ gid: 1 }));
  expect(sub.attr).toMatchObject({ gid: 42, mode: 0o042755 });
  expect((await fs.create(shared, bytes('f'), 0o644, 0, request({ gid: 1 }))).entry.attr.gid).toBe(42);
});

test('appends of several mounts at once are all there', async () => {
  await using fresh = await makeVolume();
  const mounts = ['a', 'b', 'c'].map((mount) => fsOf(fresh.volume, { mount }));
  const { nodeId } = (await fresh.fs.create(1, bytes('log'), 0o644, 0, request())).entry;
  await Promise.all(
    mounts.flatMap((fs, index) =>
      Array.from({ length: 50 }, async () => {
        // Each kernel believes that the file is empty.
        await fs.write(nodeId, 0, 0, Buffer.alloc(700, index + 1), { ...options, flags: 0x400 }, request());
      }),
    ),
  );
  const content = (await fresh.fs.read(nodeId, 0, 0, 200_000, request())) as Buffer;
  expect([1, 2, 3].map((value) => content.filter((byte) => byte === value).length)).toEqual([35_000, 35_000, 35_000]);
});

test('a request that is sent again is found with its answer by the next process, and only by its mount', async () => {
  await using fresh = await makeVolume();
  const context = request();
  const made = await fresh.fs.mkdir(1, bytes('x'), 0o755, context);
  const reply = await fresh.fs.findReply(context.unique);
  expect(JSON.parse(String(Buffer.from(reply ?? [])))).toMatchObject({ nodeId: made.nodeId });
  expect(await fsOf(fresh.volume, { mount: 'other' }).findReply(context.unique)).toBeUndefined();
  for (let count = 0; count < 600; count += 1)
    await fresh.fs.setxattr(1, bytes('user.a'), bytes(String(count)), 0, request());
  expect(await fresh.fs.findReply(context.unique)).toBeUndefined();
});

test('a file that is open when its last name goes is there until it is forgotten, and over a takeover', async () => {
  await using fresh = await makeVolume();
  const { fs, volume } = fresh;
  const create = async (name: string): Promise<number> =>
    (await fs.create(1, bytes(name), 0o644, 0, request())).entry.nodeId;
  const [first, second, third] = [await create('first'), await create('second'), await create('third')];
  await fs.write(first, 0, 0, bytes('content'), options, request());
  await fs.unlink(1, bytes('first'), request());
  expect(await fs.read(first, 0, 0, 100, request())).toEqual(bytes('content'));

  await volume[Symbol.asyncDispose]();
  await using taken = await openVolume(fresh.data, 'v');
  const next = fsOf(taken, { mount: 'm' });
  await next.init({
    ...{ isTakeover: true, maxWriteBytes: 1 },
    notify: { invalidateNode: () => Promise.resolve(), invalidateEntry: () => Promise.resolve() },
  });
  await next.unlink(1, bytes('second'), request());
  await next.unlink(1, bytes('third'), request());
  const orphans = (): unknown => taken.metadata.listOrphans(0, 10);
  expect(await orphans()).toEqual([first, second, third]);
  // The kernel forgets a file without names once, with all that it knew of it: also from the process before.
  next.forget(first);
  next.forget(second);
  await expect.poll(orphans).toEqual([third]);
  await next.destroy();
  expect(await orphans()).toEqual([]);
});

test('locks of several mounts exclude each other, are waited for, and end with their mount', async () => {
  await using fresh = await makeVolume();
  const [one, other] = [fsOf(fresh.volume, { mount: 'a' }), fsOf(fresh.volume, { mount: 'b' })];
  const { nodeId } = (await one.create(1, bytes('f'), 0o644, 0, request())).entry;
  const lock = { type: 'write', start: 0, end: 99, pid: 1 } as const;
  const later = { type: 'write', start: 50, end: noEnd, pid: 2 } as const;
  await one.setlk(nodeId, 0, 'x', lock, false, request());
  await expect(other.setlk(nodeId, 0, 'x', later, false, request())).rejects.toMatchObject({ code: 'EAGAIN' });
  expect(await other.getlk(nodeId, 0, 'x', later, request())).toMatchObject(lock);
  const controller = new AbortController();
  const interrupted = other.setlk(nodeId, 0, 'x', later, true, request({ signal: controller.signal }));
  controller.abort();
  await expect(interrupted).rejects.toMatchObject({ code: 'EINTR' });
  const granted = other.setlk(nodeId, 0, 'x', later, true, request());
  // Half of it is not enough.
  await one.setlk(nodeId, 0, 'x', { type: 'none', start: 0, end: 59, pid: 1 }, false, request());
  expect(await other.getlk(nodeId, 0, 'x', later, request())).toMatchObject({ start: 60, end: 99 });
  await one.setlk(nodeId, 0, 'x', { type: 'none', start: 60, end: 99, pid: 1 }, false, request());
  await granted;
  const waiting = one.setlk(nodeId, 0, 'y', { ...lock, start: 60 }, true, request());
  await one.setlk(nodeId, 0, 'y', { ...lock, end: 10 }, false, request());
  await expect(other.setlk(nodeId, 0, 'x', { ...later, start: 5 }, true, request())).rejects.toMatchObject({
    code: 'EDEADLK',
  });
  await other.destroy();
  await waiting;
  await one.flock(nodeId, 0, 'z', 'write', false, request());
  await one.release(nodeId, 0, 'z', request());
  await one.flush(nodeId, 0, 'y', request());
  expect(await fresh.volume.metadata.locks.list()).toEqual([]);
});
