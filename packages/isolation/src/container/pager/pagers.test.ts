/** @module-tag long */
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, open, rm, stat, truncate } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isRunning } from '@soulbox/base';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { openCgroups } from '../../cgroup/open-cgroups.ts';
import { prepareEagerBlocks } from './eager-blocks.ts';
import type { Pager, Pagers } from './pagers.ts';
import { createPagers, endPager, pagerState } from './pagers.ts';
import { findPagerRecord } from './record.ts';
import { lacksForResidents, Resident } from '../testing/resident.ts';

const pagersGroup = `/soulbox-pagers-test-${process.pid}`;
const mib = 1 << 20;
const lack = lacksForResidents();

let cacheDirectory: string;
let pagers: Pagers;

beforeAll(async () => {
  cacheDirectory = await mkdtemp(join(tmpdir(), 'soulbox-pager-cache-'));
  pagers = createPagers({ groupDirectories: openCgroups().directoriesOf(pagersGroup), cacheDirectory, spares: 1 });
});
afterAll(async () => {
  await pagers[Symbol.asyncDispose]();
  await openCgroups().remove(pagersGroup);
  await rm(cacheDirectory, { recursive: true });
});

/** Saves a process that has `size` bytes of known content at `m` and their digest in `want`. */
async function saved(size: number, more = ''): Promise<Resident> {
  const resident = await Resident.start();
  await resident.ask(
    `size=${size}; m=allocate(size); fill(m, content("a", size)); want=digest(m, size)\n${more}\nanswer=0`,
  );
  await resident.dump();
  return resident;
}

async function resume(resident: Resident): Promise<Pager> {
  const job = await resident.job();
  await prepareEagerBlocks(job.imageDirectory, job.digests);
  const pager = await pagers.open(job);
  await resident.restore({ lazy: true });
  return pager;
}

async function flip(path: string, position: number): Promise<void> {
  const file = await open(path, 'r+');
  const byte = Buffer.alloc(1);
  await file.read(byte, 0, 1, position);
  await file.write(Buffer.from([(byte[0] ?? 0) ^ 1]), 0, 1, position);
  await file.close();
}

describe.skipIf(lack !== undefined)(`a restored process (${lack ?? 'all there is'})`, () => {
  test.each([1, 64, 512])(
    'of %i MiB has all its memory, and then needs no pager',
    { timeout: 60_000 },
    async (size) => {
      await using resident = await saved(size * mib);
      const pager = await resume(resident);
      expect(await resident.ask('answer=digest(m, size)==want')).toBe('True');
      expect(await pager.ended).toBe('complete');
      expect(await resident.ask('answer=digest(m, size)==want')).toBe('True');
      expect(await resident.ask('x=allocate(16<<20); fill(x, b"1"*(16<<20)); answer=1')).toBe('1');
    },
  );

  test('responds before its memory is loaded', { timeout: 60_000 }, async () => {
    await using resident = await saved(512 * mib, 'at=m+size//2; there=ctypes.string_at(at, page)');
    const pager = await resume(resident);
    expect(await resident.ask('answer=ctypes.string_at(at, page)==there')).toBe('True');
    expect(pagerState(resident.workDirectory)).toBe('loading');
    expect(await pager.ended).toBe('complete');
  });

  test('reads the right pages in any order and from many threads', { timeout: 60_000 }, async () => {
    await using resident = await saved(256 * mib);
    await resume(resident);
    const code = `
import random
whole = content("a", size); bad = []
def look(seed):
    r = random.Random(seed)
    for _ in range(2000):
        at = r.randrange(size // page) * page
        if ctypes.string_at(m + at, page) != whole[at:at + page]: bad.append(at)
threads = [threading.Thread(target=look, args=(n,)) for n in range(8)]
for t in threads: t.start()
for t in threads: t.join()
answer = len(bad)`;
    expect(await resident.ask(code)).toBe('0');
  });

  test(
    'may fork before it has all its memory: parent and children read the same, and write separately',
    { timeout: 60_000 },
    async () => {
      await using resident = await saved(256 * mib);
      const pager = await resume(resident);
      const code = `
pids = []
for n in range(4):
    pid = os.fork()
    if pid == 0:
        fill(m + n * page, b"c" * page)
        good = digest(m + 8 * page, size - 8 * page) == rest
        os._exit(0 if good and ctypes.string_at(m + n * page, 1) == b"c" else 1)
    pids.append(pid)
answer = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids] + [digest(m, size) == want]`;
      const ready = `rest = __import__('hashlib').sha256(content("a", size)[8 * page:]).hexdigest()\n`;
      expect(await resident.ask(ready + code)).toBe('[0, 0, 0, 0, True]');
      expect(await pager.ended).toBe('complete');
    },
  );

  test('may move, unmap, give back and protect memory that is not loaded yet', { timeout: 60_000 }, async () => {
    await using resident = await saved(128 * mib, 'size2=size//8; end=m+size');
    await resume(resident);
    const code = `
whole = content("a", size); p = size // 8
room = allocate(p)
moved = libc.mremap(m + 6 * p, p, p, 3, room)
assert libc.madvise(m + 5 * p, p, 4) == 0
assert libc.munmap(m + 4 * p, p) == 0
assert libc.mprotect(m + 3 * p + 10 * page, 7 * page, 1) == 0
new = libc.mmap(m + 4 * p, p, 3, 0x32, -1, 0)
grown = libc.mremap(m + 7 * p, p, 2 * p, 1, None)
same = lambda at, start: ctypes.string_at(at, p) == whole[start:start + p]
zero = lambda at: ctypes.string_at(at, p) == bytes(p)
answer = [moved == room, same(moved, 6 * p), zero(m + 5 * p), zero(new), same(m + 3 * p, 3 * p), same(grown, 7 * p),
          zero(grown + p), all(same(m + n * p, n * p) for n in range(3))]`;
    expect(await resident.ask(code)).toBe(`[${Array(8).fill('True').join(', ')}]`);
  });

  test('keeps shared memory and the memory of several processes', { timeout: 60_000 }, async () => {
    const code = `
s = allocate(4 << 20, shared=True); fill(s, content("s", 4 << 20)); wants = digest(s, 4 << 20)
ears, mouths = zip(*[os.pipe() for _ in range(3)])
for n in range(3):
    if os.fork() == 0:
        own = allocate(32 << 20); fill(own, content(str(n), 32 << 20)); before = digest(own, 32 << 20)
        fill(s + n, bytes([n]))
        open(f"{directory}/ready-{n}", "w").close()
        while not os.path.exists(f"{directory}/go"): time.sleep(0.01)
        good = digest(own, 32 << 20) == before and digest(m, size) == want
        os.write(mouths[n], b"1" if good else b"0")
        os._exit(0)
while not all(os.path.exists(f"{directory}/ready-{n}") for n in range(3)): time.sleep(0.01)
wants = digest(s, 4 << 20)`;
    await using resident = await saved(32 * mib, code);
    const pager = await resume(resident);
    expect(
      await resident.ask(
        'open(f"{directory}/go","w").close(); answer=[os.read(e,1) for e in ears]+[digest(s, 4<<20)==wants]',
      ),
    ).toBe("[b'1', b'1', b'1', True]");
    expect(await pager.ended).toBe('complete');
  });
});

describe.skipIf(lack !== undefined)(
  `a sandbox is ended before it sees a wrong page (${lack ?? 'all there is'})`,
  () => {
    const contentOnce = `
whole = content("a", size)
answer = 0`;
    const watchOn = `
def watch():
    for at in list(range(size - page, 0, -page)):
        if ctypes.string_at(m + at, page) != whole[at:at + page]: open(directory + "/saw-wrong", "w").close()
threading.Thread(target=watch, daemon=True).start()
answer = 1`;

    async function expectEnded(resident: Resident, pager: Pager, state: string): Promise<void> {
      expect(await pager.ended).toBe(state);
      expect(await resident.listPids()).toEqual([]);
      expect(existsSync(join(resident.directory, 'saw-wrong'))).toBe(false);
      expect(pagerState(resident.workDirectory)).toBe(state);
    }

    test.each(['flipped', 'unknown'] as const)('when a block is %s', { timeout: 60_000 }, async (damage) => {
      await using resident = await saved(64 * mib, contentOnce);
      const job = await resident.job();
      const digests = [...(job.digests.parts['pages-1.img'] ?? [])];
      if (damage === 'flipped') await flip(join(resident.imageDirectory, 'pages-1.img'), 40 * mib + 12_345);
      else digests[40] = '';
      await prepareEagerBlocks(job.imageDirectory, job.digests);
      const pager = await pagers.open({ ...job, digests: { ...job.digests, parts: { 'pages-1.img': digests } } });
      await resident.restore({ lazy: true });
      await resident.ask(watchOn, 2_000).catch(() => undefined);
      await expectEnded(resident, pager, 'damaged');
      const detail = 'Block 40 of pages-1.img does not match its digest.';
      expect(findPagerRecord(resident.workDirectory)).toMatchObject({ detail });
    });

    test('when a block becomes too short or unreadable meanwhile', { timeout: 60_000 }, async () => {
      await using resident = await saved(512 * mib, contentOnce);
      const pager = await resume(resident);
      await resident.ask(watchOn);
      await truncate(join(resident.imageDirectory, 'pages-1.img'), 10 * mib);
      await expectEnded(resident, pager, 'damaged');
    });

    test.each(['worker', 'guard', 'sharer'] as const)('when the %s is killed', { timeout: 60_000 }, async (part) => {
      await using resident = await saved(512 * mib, contentOnce);
      const pager = await resume(resident);
      await resident.ask(watchOn);
      const record = findPagerRecord(resident.workDirectory);
      if (record?.state !== 'loading') throw new Error('the pager was too fast');
      process.kill(record[part].pid, 'SIGKILL');
      await pager.ended;
      expect(pagerState(resident.workDirectory)).toBe('interrupted');
      expect(await resident.listPids()).toEqual([]);
      expect(existsSync(join(resident.directory, 'saw-wrong'))).toBe(false);
      for (const one of ['worker', 'guard', 'sharer'] as const)
        for (let tries = 0; isRunning(record[one]); tries += 1) {
          expect(tries).toBeLessThan(200);
          await sleep(5);
        }
    });

    test('when CRIU gives up halfway', { timeout: 60_000 }, async () => {
      await using resident = await saved(8 * mib);
      const pager = await pagers.open(await resident.job());
      await rm(join(resident.imageDirectory, 'core-1.img'));
      await expect(resident.restore({ lazy: true })).rejects.toThrow();
      await openCgroups().kill(resident.group);
      await endPager(resident.workDirectory);
      await pager.ended;
      expect(pagerState(resident.workDirectory)).toBe('interrupted');
      await endPager(resident.workDirectory);
    });
  },
);

describe.skipIf(lack !== undefined)(`blocks that CRIU reads itself (${lack ?? 'all there is'})`, () => {
  test(
    'are refused when one is changed, truncated or missing, and only they are read',
    { timeout: 60_000 },
    async () => {
      await using resident = await saved(64 * mib);
      const { imageDirectory, digests } = await resident.job();
      const pages = join(imageDirectory, 'pages-1.img');
      const { size } = await stat(pages);
      await flip(pages, 40 * mib);
      await prepareEagerBlocks(imageDirectory, digests);
      await flip(pages, size - 10);
      await expect(prepareEagerBlocks(imageDirectory, digests)).rejects.toMatchObject({ reason: 'state_damaged' });
      await flip(pages, size - 10);
      await truncate(pages, size - 4096);
      await expect(prepareEagerBlocks(imageDirectory, digests)).rejects.toMatchObject({ reason: 'state_damaged' });
      await rm(pages);
      await expect(prepareEagerBlocks(imageDirectory, digests)).rejects.toMatchObject({ reason: 'state_damaged' });
    },
  );
});

describe('a pager without CRIU', () => {
  test('is ended by its caller, and leaves no process', async () => {
    const workDirectory = await mkdtemp(join(tmpdir(), 'soulbox-pager-work-'));
    const digests = { blockBytes: mib, parts: {} };
    const pager = await pagers.open({ imageDirectory: '/proc/nowhere', workDirectory, digests, killDirectories: [] });
    expect(pagerState(workDirectory)).toBe('loading');
    await endPager(workDirectory);
    expect(await pager.ended).toBe('interrupted');
    await rm(workDirectory, { recursive: true });
    expect(pagerState(workDirectory)).toBe('none');
  });

  test('is refused with a clear error when it cannot begin', async () => {
    const digests = { blockBytes: mib, parts: {} };
    const job = { imageDirectory: '/proc/nowhere', workDirectory: '/proc/nowhere/work', digests, killDirectories: [] };
    await expect(pagers.open(job)).rejects.toMatchObject({ reason: 'sandbox_resume_failed' });
  });

  test('ends with the server that keeps it ready, and none is started after that', async () => {
    const cgroups = openCgroups();
    const group = `${pagersGroup}-spares`;
    const pids = (): string => readFileSync(join(cgroups.directoriesOf(group)[0] ?? '', 'cgroup.procs'), 'latin1');
    const own = createPagers({ groupDirectories: cgroups.directoriesOf(group), cacheDirectory, spares: 2 });
    own.fill();
    // Two guards, two workers, two sharers.
    await vi.waitUntil(() => existsSync(cgroups.directoriesOf(group)[0] ?? '') && pids().split('\n').length === 7);
    await own[Symbol.asyncDispose]();
    own.fill();
    await vi.waitUntil(() => pids() === '');
    await cgroups.remove(group);
  });
});
