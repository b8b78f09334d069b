/** @module-tag violation */
import { mkdir, mkdtemp, open, rm, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '@soulbox/base';
import { silentLogger } from '@soulbox/base/logger';
import type { DiskReading, SandboxDisk } from '@soulbox/isolation';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { createDiskBudget } from './budget.ts';
import type { DiskBudget } from './budget.ts';
import { costOf } from './shares.ts';

const mib = 2 ** 20;
const reserveMb = 64;
const diskMb = 1024;
const tablesMb = 8;
const promiseMb = 32;

/** A file system in the role of the host's. The space that a sandbox uses on it is one file for each sandbox. */
let folder: string;
let host: string;
beforeAll(async () => {
  await mkdir('/var/lib/soulbox-test', { recursive: true, mode: 0o700 });
  folder = await mkdtemp('/var/lib/soulbox-test/budget-');
  host = join(folder, 'host');
  await mkdir(host);
  const image = await open(join(folder, 'image'), 'wx');
  await image.truncate(1024 * mib);
  await image.close();
  await run('mkfs.ext4', ['-q', '-F', '-m', '0', join(folder, 'image')]);
  await run('mount', ['-t', 'ext4', '-o', 'loop', join(folder, 'image'), host]);
});
afterAll(async () => {
  await run('umount', ['--', host]);
  await rm(folder, { recursive: true });
});
afterEach(async () => {
  await run('find', [host, '-mindepth', '1', '-delete']);
});

/**
 * A disk that behaves like the kernel's: it refuses writes beyond its limit, and written data uses space of the host.
 */
class ModelDisk implements SandboxDisk {
  readonly #path: string;
  usedMb = tablesMb;
  allocatedMb = 0;
  heldBackBytes = 0;
  isMounted = true;
  #hasRun = true;

  constructor(name: string, growthMb: number) {
    this.#path = join(host, name);
    this.allow(growthMb * mib, this.#look());
  }

  #look(): DiskReading {
    return {
      sizeBytes: diskMb * mib,
      freeBytes: (diskMb - this.usedMb) * mib,
      tableBytes: tablesMb * mib,
      heldBackBytes: this.heldBackBytes,
      allocatedBytes: this.allocatedMb * mib,
    };
  }

  hasRun(): boolean {
    return this.#hasRun || !this.isMounted;
  }

  peek(): DiskReading | undefined {
    return this.read();
  }

  read(): DiskReading | undefined {
    this.#hasRun = false;
    return this.isMounted ? this.#look() : undefined;
  }

  allow(growthBytes: number, { freeBytes }: DiskReading): void {
    this.heldBackBytes = Math.max(0, freeBytes - growthBytes);
  }

  flush(): Promise<void> {
    return Promise.resolve();
  }

  get allowedMb(): number {
    return Math.max(0, Math.floor(diskMb - this.usedMb - this.heldBackBytes / mib));
  }

  /** Returns the MiB that could be written. `unwritten` ones stay in memory, or are a file that reserved its space. */
  async write(wantedMb: number, unwritten = false): Promise<number> {
    const mb = Math.min(wantedMb, this.allowedMb);
    this.#hasRun = true;
    this.usedMb += mb;
    if (!unwritten) await this.settle();
    return mb;
  }

  /** The kernel writes out what is in memory. No process runs for that. */
  async settle(): Promise<void> {
    this.allocatedMb = this.usedMb - tablesMb;
    await this.#take();
  }

  async remove(mb: number): Promise<void> {
    this.#hasRun = true;
    this.usedMb -= Math.min(mb, this.allocatedMb);
    await this.settle();
  }

  /** Throws when the host has too little space. A kernel would lose the data. */
  async #take(): Promise<void> {
    await rm(this.#path, { force: true });
    if (this.allocatedMb > 0) await run('fallocate', ['-l', String(this.allocatedMb * mib), this.#path]);
  }
}

let skippedMs = 0;
const standing = { promisedBytes: promiseMb * mib, isStopped: false };
function openBudget(): DiskBudget {
  return createDiskBudget({
    policy: { diskReserveMb: reserveMb, diskReservePercent: 1, diskOvercommit: 1 },
    directory: host,
    standingOf: () => standing,
    // Model disks write without the page cache: each inspection looks at all of them.
    readDirtied: () => NaN,
    clock: { now: () => performance.now() + skippedMs },
    logger: silentLogger,
  });
}

async function freeMb(): Promise<number> {
  const { bavail, bsize } = await statfs(host);
  return (bavail * bsize) / mib;
}

function startDisk(budget: DiskBudget, name: string, disk = new ModelDisk(name, promiseMb)): ModelDisk {
  using _room = budget.admit(tablesMb * mib + costOf(promiseMb * mib), 'A disk');
  budget.watch(name, () => disk);
  return disk;
}

test('a single disk gets all space of the host in steps, but not a byte of the reserve', async () => {
  const budget = openBudget();
  const disk = startDisk(budget, 'a');
  for (let got = 1; got > 0;) {
    budget.inspect();
    got = await disk.write(500);
  }
  expect(disk.usedMb).toBeGreaterThan(700);
  expect(await freeMb()).toBeGreaterThan(reserveMb);
  // Everything that counts as written can still be written out.
  expect(await freeMb()).toBeLessThan(reserveMb + 60);
});

test('a disk that fills its share leaves every other disk its promise', async () => {
  const budget = openBudget();
  const disks = ['a', 'b', 'c'].map((name) => startDisk(budget, name));
  const [greedy, ...others] = disks;
  for (let got = 1; got > 0;) {
    budget.inspect();
    got = (await greedy?.write(500)) ?? 0;
  }
  for (const other of others) expect(await other.write(promiseMb)).toBe(promiseMb);
  expect(await freeMb()).toBeGreaterThanOrEqual(reserveMb);
});

test('a disk is admitted only while all promises can be kept, and a refusal changes nothing', () => {
  const budget = openBudget();
  const disks: ModelDisk[] = [];
  const fill = (): void => {
    for (;;) disks.push(startDisk(budget, String(disks.length)));
  };
  expect(fill).toThrow(/A disk can need 41 MiB of the host's disk, but only \d+ MiB are neither reserved nor promised/);
  expect(disks.length).toBeGreaterThan(15);
  const before = disks.map(({ heldBackBytes }) => heldBackBytes);
  expect(() => budget.admit(41 * mib, 'A disk')).toThrow();
  expect(disks.map(({ heldBackBytes }) => heldBackBytes)).toEqual(before);
  expect(budget.figures()).toMatchObject({ disks: disks.length, stopped: 0 });
});

test('reserved room is not given to others until it is released', async () => {
  const budget = openBudget();
  const disk = startDisk(budget, 'a');
  budget.inspect();
  {
    using _room = budget.admit(600 * mib, 'Something');
    expect(disk.allowedMb).toBeLessThan((await freeMb()) - reserveMb - 600);
    expect(() => budget.admit(600 * mib, 'Something else')).toThrow('Something else can need 600 MiB');
  }
  budget.inspect();
  expect(disk.allowedMb).toBeGreaterThan(600);
});

test('when other programs fill the host no disk can grow, and the room is negative', async () => {
  const budget = openBudget();
  const disks = ['a', 'b'].map((name) => startDisk(budget, name));
  await disks[0]?.write(20, true);
  await run('fallocate', ['-l', String(Math.floor((await freeMb()) - reserveMb - 10) * mib), join(host, 'foreign')]);
  expect(budget.inspect().roomBytes).toBeLessThan(0);
  for (const disk of disks) expect(disk.allowedMb).toBe(0);
  await disks[0]?.settle();
  await rm(join(host, 'foreign'));
  expect(budget.inspect().roomBytes).toBeGreaterThan(0);
  for (const disk of disks) expect(disk.allowedMb).toBeGreaterThan(promiseMb);
});

test('room is distributed again at once after a change, and otherwise each second', async () => {
  const budget = openBudget();
  const disk = startDisk(budget, 'a');
  const judged = (): number => budget.inspect().disks.length;
  expect([judged(), judged()]).toEqual([1, 0]);
  skippedMs += 1_000;
  expect([judged(), judged()]).toEqual([1, 0]);
  await disk.write(1);
  expect([judged(), judged()]).toEqual([1, 0]);
  await run('fallocate', ['-l', String(20 * mib), join(host, 'foreign')]);
  expect([judged(), judged()]).toEqual([1, 0]);
  budget.admit(mib, 'Something')[Symbol.dispose]();
  expect([judged(), judged()]).toEqual([1, 0]);
});

test('the share of a disk that is not mounted any more is given to the others', () => {
  const budget = openBudget();
  const disks = ['a', 'b'].map((name) => startDisk(budget, name));
  budget.inspect();
  const before = disks[1]?.allowedMb ?? 0;
  (disks[0] as ModelDisk).isMounted = false;
  // An idle disk is not read every time.
  skippedMs += 1_000;
  budget.inspect();
  expect(budget.figures().disks).toBe(1);
  expect(disks[1]?.allowedMb).toBeGreaterThan(before * 1.5);
});

const step = fc.oneof(
  fc.record({ do: fc.constant('write' as const), disk: fc.nat(7), mb: fc.integer({ min: 1, max: 400 }) }),
  fc.record({ do: fc.constant('reserve' as const), disk: fc.nat(7), mb: fc.integer({ min: 1, max: 400 }) }),
  fc.record({ do: fc.constant('settle' as const), disk: fc.nat(7), mb: fc.constant(0) }),
  fc.record({ do: fc.constant('remove' as const), disk: fc.nat(7), mb: fc.integer({ min: 1, max: 400 }) }),
  fc.record({ do: fc.constant('start' as const), disk: fc.nat(7), mb: fc.constant(0) }),
  fc.record({ do: fc.constant('look' as const), disk: fc.constant(0), mb: fc.constant(0), afterMs: fc.nat(4000) }),
);

test(
  'whatever disks do between two inspections, everything that counts as written fits on the host above its reserve',
  { timeout: 120_000 },
  async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async (steps) => {
        await run('find', [host, '-mindepth', '1', '-delete']);
        const budget = openBudget();
        const disks: ModelDisk[] = [];
        for (const { do: kind, disk: index, mb, ...look } of steps) {
          const disk = disks[index % Math.max(1, disks.length)];
          if (kind === 'look') {
            skippedMs += 'afterMs' in look ? look.afterMs : 0;
            budget.inspect();
          } else if (kind === 'start') {
            try {
              disks.push(startDisk(budget, String(disks.length)));
            } catch {
              // No room: the disk does not exist.
            }
          } else if (kind === 'write') await disk?.write(mb);
          else if (kind === 'reserve') await disk?.write(mb, true);
          else if (kind === 'settle') await disk?.settle();
          else await disk?.remove(mb);
        }
        // All disks write up to their limits, as if there were no server, and everything in memory is written out.
        for (const disk of disks) await disk.write(diskMb);
        for (const disk of disks) await disk.settle();
        expect(await freeMb()).toBeGreaterThanOrEqual(reserveMb);
      }),
      { numRuns: 60 },
    );
  },
);
