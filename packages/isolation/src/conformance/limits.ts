import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { readdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { sleepCount } from './host-traces.ts';
import type { Stage } from './stage.ts';
import { ordinaryUser, usualLimits } from './test-sandbox.ts';

/** One system call for all of them: a list of pids would be out of date before it is used. */
const killAllOfUser = `python3 -c "import os; os.setuid(${ordinaryUser}); os.kill(-1, 9)"`;
const bytesPerMb = 1024 * 1024;

/** How much of the host a sandbox can use, and how it behaves at the limit. */
export function describeLimits(stage: Stage): void {
  describe('limits', () => {
    // docs/decisions/081
    test('a sandbox in which nothing runs seldom wakes up a CPU', async () => {
      await using sandbox = await stage.bench.start();
      await sleep(1500);
      const [before, since] = [await sleepCount(sandbox.spec), performance.now()];
      await sleep(2500);
      const wakeUps = (await sleepCount(sandbox.spec)) - before;
      expect(wakeUps / ((performance.now() - since) / 1000)).toBeLessThan(900);
    });

    test('running out of memory ends one process and leaves the sandbox', async ({ skip }) => {
      if (!stage.bench.driver.capabilities.survivesOutOfMemory) skip('this driver ends with its memory');
      await using sandbox = await stage.bench.start();
      const hog = await sandbox.sh('python3 -c "b = bytearray(1 << 30)"', ordinaryUser);
      // The shell reports the signal of its child, or died of the signal instead of the child.
      expect([hog.exitCode, hog.signal]).toEqual(hog.signal === null ? [137, null] : [null, 'SIGKILL']);
      expect((await sandbox.sh('echo alive')).stdout).toBe('alive\n');
      expect(stage.bench.driver.isAlive(sandbox.instance)).toBe(true);
    });

    test('where running out of memory ends the sandbox, the driver reports that cause', async ({ skip }) => {
      if (stage.bench.driver.capabilities.survivesOutOfMemory) skip('this driver survives it');
      await using sandbox = await stage.bench.start();
      const { sandboxId, directory } = sandbox.spec;
      void sandbox.sh('python3 -c "b = bytearray(1 << 30)"', ordinaryUser).catch(() => undefined);
      const { driver } = stage.bench;
      for (let tries = 0; tries < 500 && driver.isAlive(sandbox.instance); tries++) await sleep(20);
      expect(driver.isAlive(sandbox.instance)).toBe(false);
      expect(await driver.whyEnded(sandboxId, directory)).toBe('out_of_memory');
    });

    test('files in shared memory count as disk, not as memory that cannot be freed', async ({ skip }) => {
      if (!stage.bench.driver.capabilities.sharedMemoryOnDisk) skip('this driver keeps shared memory in memory');
      await using sandbox = await stage.bench.start({ limits: { ...usualLimits, memoryMb: 128, diskMb: 256 } });
      const { exitCode } = await sandbox.sh('head -c 180M /dev/zero > /dev/shm/big', ordinaryUser);
      expect(exitCode).toBe(0);
      const { diskUsedBytes } = stage.bench.driver.sample(sandbox.instance);
      expect(diskUsedBytes).toBeGreaterThan(180 * bytesPerMb);
    });

    test('a shared memory file larger than all memory is stored or refused, and the sandbox continues', async () => {
      await using sandbox = await stage.bench.start({ limits: { ...usualLimits, memoryMb: 128, diskMb: 256 } });
      const { exitCode, stderr } = await sandbox.sh('head -c 180M /dev/zero > /dev/shm/big', ordinaryUser);
      if (exitCode !== 0) expect(stderr).toContain('No space left on device');
      expect((await sandbox.sh('rm /dev/shm/big && echo small > /dev/shm/file && cat /dev/shm/file')).stdout).toBe(
        'small\n',
      );
    });

    test('a fork bomb stays within the limit, and root can still end it', async () => {
      await using sandbox = await stage.bench.start({ limits: { ...usualLimits, memoryMb: 1024, maxProcesses: 150 } });
      const bomb = `import os, time
made = 0
try:
    while made < 1000:
        if os.fork() == 0: os.closerange(0, 9); time.sleep(600)
        made += 1
except BlockingIOError: pass
print(made, flush=True)
os.kill(os.getpid(), 9)`;
      const { stdout } = await sandbox.sh(`exec python3 -c "${bomb}"`, ordinaryUser);
      expect(Number(stdout)).toBeLessThan(150);
      expect(Number(stdout)).toBeGreaterThan(50);
      await sandbox.sh(killAllOfUser);
      expect((await sandbox.sh('echo again', ordinaryUser)).stdout).toBe('again\n');
    });

    test('two loops on one CPU get one CPU', async () => {
      await using sandbox = await stage.bench.start();
      void sandbox.sh('timeout 5 sh -c "while :; do :; done" & timeout 5 sh -c "while :; do :; done"').catch(() => 0);
      await sleep(500);
      const { driver } = stage.bench;
      const shares: number[] = [];
      for (let window = 0; window < 3; window++) {
        const [before, startedAt] = [driver.readCpuUsed(sandbox.instance), performance.now()];
        await sleep(1_000);
        shares.push((driver.readCpuUsed(sandbox.instance) - before) / ((performance.now() - startedAt) / 1000));
      }
      // The middle one: on a busy host, the two readings of one window may be apart by what was used before them.
      const used = shares.toSorted((one, other) => one - other)[1] ?? 0;
      expect(used).toBeLessThan(1.15);
      expect(used).toBeGreaterThan(0.2);
    });

    test('a full disk is an error inside, df shows its size, and the host keeps its space', async () => {
      await using sandbox = await stage.bench.start({ limits: { ...usualLimits, diskMb: 128 } });
      const df = await sandbox.sh('df --output=size -B1M / | tail -1');
      expect(Math.abs(Number(df.stdout) - 128)).toBeLessThanOrEqual(2);
      const fill = await sandbox.sh('head -c 300M /dev/zero > /home/big', 0);
      expect(fill.stderr).toContain('No space left on device');
      const full = stage.bench.driver.sample(sandbox.instance);
      expect(full.diskTotalBytes / bytesPerMb).toBeCloseTo(128, -1);
      expect(full.diskUsedBytes / bytesPerMb).toBeGreaterThan(120);
      expect(await diskUsage(sandbox.spec.directory)).toBeLessThan(140 * bytesPerMb);
      await sandbox.sh('rm /home/big; sync');
      expect((await sandbox.sh('echo room > /home/small && cat /home/small')).stdout).toBe('room\n');
    });

    test('an endless number of files uses up the inodes of the sandbox only', async () => {
      await using sandbox = await stage.bench.start({ limits: { ...usualLimits, diskMb: 64 } });
      const answer = await sandbox.sh(`mkdir /many && cd /many && python3 -c "
for i in range(10000): open(str(i), 'w').close()"`);
      expect(answer.stderr).toContain('No space left on device');
      expect((await sandbox.sh('rm -r /many && touch /fine && echo fine')).stdout).toBe('fine\n');
    });

    test('CPU time stands still while nothing runs, and grows with each program that runs or is killed', async () => {
      await using sandbox = await stage.bench.start();
      const { driver } = stage.bench;
      const used = (): number => driver.readCpuUsed(sandbox.instance);
      const disk = driver.openDisk(sandbox.instance);
      expect(disk.hasRun()).toBe(true);
      await driver.freeze(sandbox.instance);
      disk.read();
      const frozen = used();
      await sleep(300);
      // A kernel of the sandbox's own always uses some.
      if (!driver.capabilities.ownKernel) expect([used(), disk.hasRun()]).toEqual([frozen, false]);
      await driver.thaw(sandbox.instance);
      await sandbox.sh('echo a > /small');
      expect(used()).toBeGreaterThan(frozen);
      expect(disk.hasRun()).toBe(true);
      const last = used();
      process.kill(sandbox.instance.initPid, 'SIGKILL');
      await expect.poll(() => driver.isAlive(sandbox.instance)).toBe(false);
      expect(used()).toBeGreaterThan(last);
    });

    test('a sample counts the used resources', async () => {
      await using sandbox = await stage.bench.start();
      const { driver } = stage.bench;
      const before = driver.sample(sandbox.instance);
      await sandbox.sh('head -c 40M /dev/urandom > /data; sync /data; timeout 0.3 sh -c "while :; do :; done"');
      const after = driver.sample(sandbox.instance);
      expect(after.cpuUsedSeconds - before.cpuUsedSeconds).toBeGreaterThan(0.2);
      expect(after.diskWrittenBytes - before.diskWrittenBytes).toBeGreaterThanOrEqual(40 * bytesPerMb);
      expect(after.diskUsedBytes - before.diskUsedBytes).toBeGreaterThanOrEqual(40 * bytesPerMb);
      expect(after.memoryCacheBytes).toBeGreaterThan(before.memoryCacheBytes);
      expect(after.memoryLimitBytes).toBe(256 * bytesPerMb);
      expect(after.memorySwapBytes).toBe(0);
      expect(after.memoryRssBytes).toBeGreaterThan(bytesPerMb);
      expect(after.memoryWorkingSetBytes).toBeLessThan(after.memoryLimitBytes);
    });

    test('envd responds while user code uses every CPU, all memory and all processes', async () => {
      const { survivesOutOfMemory, ownKernel } = stage.bench.driver.capabilities;
      const memoryMb = survivesOutOfMemory ? usualLimits.memoryMb : 1024;
      await using sandbox = await stage.bench.start({ limits: { ...usualLimits, memoryMb, maxProcesses: 200 } });
      const hogs = 'for i in $(seq 20); do sh -c "while :; do :; done" & done; wait';
      const memory = 'while :; do python3 -c "b = bytearray(1 << 30)"; done';
      const bomb = 'f() { f | f & }; while :; do f 2>/dev/null; sleep 0.05; done';
      for (const script of [hogs, ...(survivesOutOfMemory ? [memory] : []), bomb])
        void sandbox.sh(script, ordinaryUser).catch(() => undefined);
      await sleep(1_000);
      const times: number[] = [];
      // A kernel of its own that is at all its limits takes a quarter of a second for each.
      const count = ownKernel ? 40 : 100;
      while (times.length < count) {
        const startedAt = performance.now();
        await fetch(sandbox.healthUrl, { signal: AbortSignal.timeout(5_000) });
        times.push(performance.now() - startedAt);
        await sleep(5);
      }
      times.sort((a, b) => a - b);
      const [p50 = 0, p98 = 0] = [times[count / 2], times[Math.floor(count * 0.98) - 1]];
      process.stdout.write(
        `health of a sandbox at all its limits: p50 ${p50.toFixed(1)} ms, p98 ${p98.toFixed(1)} ms\n`,
      );
      // Other tests use the CPUs too. Without its priority, envd would need seconds. A kernel of its own gives it none.
      expect(p98).toBeLessThan(ownKernel ? 2_500 : 1_000);
      await sandbox.sh(killAllOfUser);
      expect((await sandbox.sh('echo works', ordinaryUser)).stdout).toBe('works\n');
      // Responses, each of which may take long when other tests use the CPUs too.
    }, 90_000);
  });
}

/** Number of bytes that the files of a folder use on the host's disk. */
async function diskUsage(folder: string): Promise<number> {
  const sizes = readdirSync(folder).map(async (name) => (await stat(join(folder, name))).blocks * 512);
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
}
