import { stat } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import type { DiskReading } from '../driver.ts';
import { tableBytes } from '../root/disk.ts';
import type { Stage } from './stage.ts';
import { stopAndSave } from './saved-sandboxes.ts';
import type { TestSandbox } from './test-sandbox.ts';
import { ordinaryUser, usualLimits } from './test-sandbox.ts';

const mib = 2 ** 20;
/** A file system may use a few blocks of its own in addition to the requested size. */
const toleranceBytes = mib;

/** How much of the host's disk a sandbox's disk may use, as set by the host. */
export function describeDiskGrowth(stage: Stage): void {
  const readDisk = ({ instance }: TestSandbox): DiskReading => {
    const reading = stage.bench.driver.openDisk(instance).read();
    if (reading === undefined) throw new Error('the disk is not mounted');
    return reading;
  };
  /** The number of MiB that could be written to a new file, and the error message that ended the writing. */
  const fill = async (sandbox: TestSandbox, name: string, uid?: number): Promise<{ mb: number; said: string }> => {
    const { stderr } = await sandbox.sh(`head -c 100M /dev/urandom > ${name}`, uid);
    const { stdout } = await sandbox.sh(`stat -c %s ${name}`);
    return { mb: Math.round(Number(stdout) / mib), said: stderr };
  };

  describe('growth of the disk', () => {
    test.each([
      ['root', 0],
      ['a user', ordinaryUser],
    ])('%s can write exactly the allowed amount, and gets an error at once beyond it', async (_who, uid) => {
      await using sandbox = await stage.bench.start({ diskGrowthBytes: 20 * mib });
      await sandbox.sh('mkdir -m 777 /all');
      const { mb, said } = await fill(sandbox, '/all/file', uid);
      expect(mb).toBeGreaterThanOrEqual(19);
      expect(mb).toBeLessThanOrEqual(20);
      expect(said).toMatch(/No space left/);
      // When a sync reports success, the accepted data is really stored.
      expect((await sandbox.sh('sync /all/file', uid)).exitCode).toBe(0);
      const { allocatedBytes } = readDisk(sandbox);
      expect(allocatedBytes).toBeLessThan(20 * mib + tableBytes(usualLimits.diskMb) + toleranceBytes);
    });

    test('space that a program reserves counts as written, and df shows the rest', async () => {
      await using sandbox = await stage.bench.start({ diskGrowthBytes: 20 * mib });
      const left = async (): Promise<number> =>
        Number((await sandbox.sh('df -B1 --output=avail /tmp')).stdout.split('\n')[1]);
      expect(await left()).toBeLessThanOrEqual(20 * mib);
      await sandbox.sh('fallocate -l 12M /reserved || head -c 12M /dev/zero > /reserved');
      expect(await left()).toBeLessThanOrEqual(8 * mib);
      expect((await fill(sandbox, '/file')).mb).toBeLessThanOrEqual(8);
    });

    test('the allowance can grow or become zero while the sandbox runs; deleted space can be written again', async () => {
      await using sandbox = await stage.bench.start({ diskGrowthBytes: 8 * mib });
      const disk = stage.bench.driver.openDisk(sandbox.instance);
      await fill(sandbox, '/first');
      disk.allow(16 * mib, readDisk(sandbox));
      expect((await fill(sandbox, '/second')).mb).toBeGreaterThanOrEqual(15);
      disk.allow(16 * mib, readDisk(sandbox));
      disk.allow(0, readDisk(sandbox));
      expect((await fill(sandbox, '/third')).mb).toBe(0);
      await sandbox.sh('rm /first /third');
      const { mb } = await fill(sandbox, '/third');
      expect(mb).toBeGreaterThanOrEqual(7);
      expect(mb).toBeLessThanOrEqual(8);
    });

    test('an allowance that falls below the unwritten data loses none of that data', async () => {
      await using sandbox = await stage.bench.start({ diskGrowthBytes: 64 * mib });
      const disk = stage.bench.driver.openDisk(sandbox.instance);
      await sandbox.sh('head -c 30M /dev/urandom > /file; sha256sum /file > /sum');
      disk.allow(0, readDisk(sandbox));
      await disk.flush(AbortSignal.timeout(10_000));
      const { freeBytes, sizeBytes, allocatedBytes } = readDisk(sandbox);
      expect(allocatedBytes).toBeGreaterThanOrEqual(30 * mib);
      // Everything except the inode tables is on the host's disk.
      expect(sizeBytes - freeBytes - allocatedBytes).toBeLessThanOrEqual(tableBytes(usualLimits.diskMb));
      expect((await sandbox.sh('sha256sum -c /sum')).stdout).toBe('/file: OK\n');
    });

    test.each([64, 256, 1000, 10_240])(
      'the tables of a disk of %i MiB take no more space than assumed',
      async (diskMb) => {
        await using sandbox = await stage.bench.start({ limits: { ...usualLimits, diskMb } });
        const { sizeBytes, freeBytes } = readDisk(sandbox);
        expect(sizeBytes - freeBytes).toBeLessThanOrEqual(tableBytes(diskMb) + toleranceBytes);
        expect(sizeBytes - freeBytes).toBeGreaterThan(tableBytes(diskMb) * 0.7);
      },
    );

    test('the allowance of a kept disk is read from the disk itself, and a start on it is limited too', async () => {
      const first = await stage.bench.start();
      await first.sh('head -c 10M /dev/urandom > /file; fallocate -l 30M /reserved || true');
      const { sandboxId, directory } = first.spec;
      const open = stage.bench.driver.openDisk(first.instance);
      const { freeBytes } = readDisk(first);
      await stage.bench.driver.suspend(sandboxId, directory);
      expect(open.read()).toBeUndefined();
      const image = stage.bench.driver.diskPath(sandboxId, directory);
      const kept = await stage.bench.driver.readKeptDisk(sandboxId, directory);
      expect(Math.abs(kept.freeBytes - freeBytes)).toBeLessThan(mib);
      expect(kept.allocatedBytes).toBe((await stat(image)).blocks * 512);
      await using second = await stage.bench.startOnKeptDisk({
        ...first,
        spec: { ...first.spec, diskGrowthBytes: 5 * mib },
      });
      expect((await fill(second, '/more')).mb).toBeLessThanOrEqual(5);
    });

    test('a restored sandbox is limited before it continues', async ({ skip }) => {
      if (!stage.bench.driver.capabilities.checkpoint) skip('this driver does not restore');
      const source = await stage.bench.start();
      await source.sh(
        `setsid sh -c 'while :; do head -c 200k /dev/zero >> /grows 2>/dev/null || true; sleep 0.02; done' >/dev/null 2>&1 &`,
      );
      const before = readDisk(source).freeBytes;
      await expect.poll(() => before - readDisk(source).freeBytes).toBeGreaterThan(mib);
      const memory = await stopAndSave(stage.bench, source.instance);
      await stage.bench.driver.suspend(source.spec.sandboxId, source.spec.directory);
      const { freeBytes } = await stage.bench.driver.readKeptDisk(source.spec.sandboxId, source.spec.directory);
      const spec = { ...source.spec, disk: 'kept', diskGrowthBytes: 2 * mib } as const;
      await using restored = await stage.bench.restore(memory, spec);
      await expect.poll(() => freeBytes - readDisk(restored).freeBytes).toBeGreaterThan(mib);
      expect(freeBytes - readDisk(restored).freeBytes).toBeLessThanOrEqual(2 * mib + toleranceBytes);
    });
  });
}
