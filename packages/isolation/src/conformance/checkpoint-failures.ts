import { cp, mkdtemp, readdir, rm, stat, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { run, SoulBoxError } from '@soulbox/base';
import type { SandboxSpec, SavedMemory } from '../driver.ts';
import type { Stage } from './stage.ts';
import { hostTraces } from './host-traces.ts';
import { freezeInto, pause, stopAndSave } from './saved-sandboxes.ts';
import { usualLimits } from './test-sandbox.ts';
import type { TestSandbox } from './test-sandbox.ts';

/** Saves and restores that fail: afterwards the sandbox or its checkpoint must still exist, and nothing else. */
export function describeCheckpointFailures(stage: Stage): void {
  describe('failing checkpoints and restores', () => {
    test('freeze stops all processes, thaw continues them, and both can be repeated', async () => {
      await using sandbox = await stage.bench.start();
      await sandbox.sh(
        'setsid sh -c "while :; do date +%s%N > /new; mv /new /ticks; sleep 0.01; done" > /dev/null 2>&1 &',
      );
      const { driver } = stage.bench;
      await driver.thaw(sandbox.instance);
      for (let times = 0; times < 2; times++) await driver.freeze(sandbox.instance);
      expect(driver.isAlive(sandbox.instance)).toBe(true);
      await expect(fetch(sandbox.healthUrl, { signal: AbortSignal.timeout(300) })).rejects.toThrow();
      for (let times = 0; times < 2; times++) await driver.thaw(sandbox.instance);
      const [before, after] = [await sandbox.sh('cat /ticks'), await sandbox.sh('sleep 0.2; cat /ticks')];
      expect(after.stdout).not.toBe(before.stdout);
    });

    test('a checkpoint into a folder that does not exist leaves the sandbox frozen and intact', async () => {
      await using sandbox = await stage.bench.start();
      const { driver } = stage.bench;
      await driver.freeze(sandbox.instance);
      const nowhere = driver.checkpoint(sandbox.instance, '/proc/nowhere/at/all');
      await expect(nowhere).rejects.toMatchObject({ reason: 'checkpoint_failed' });
      await expect(fetch(sandbox.healthUrl, { signal: AbortSignal.timeout(300) })).rejects.toThrow();
      await driver.thaw(sandbox.instance);
      expect((await sandbox.sh('echo on')).stdout).toBe('on\n');
      // An unanswered call is a half-open connection until TCP tries again, and gVisor cannot save it.
      await sleep(1_500);
      await using restored = await pause(stage.bench, sandbox, 0);
      expect((await restored.sh('echo on')).stdout).toBe('on\n');
    });

    test('a sandbox that uses most of its memory is saved into memory of the host, and keeps its limit', async () => {
      const memoryMb = 512;
      await using sandbox = await stage.bench.start({ limits: { ...usualLimits, memoryMb } });
      const hog = 'import os, signal; b = os.urandom(1 << 20) * 320; print("full", flush=True); signal.pause()';
      await sandbox.sh(`setsid python3 -c '${hog}' > /full 2>&1 &
        while ! grep -q full /full; do sleep 0.1; done`);
      // Of the host, as the folder of a server is.
      const directory = await mkdtemp('/dev/shm/soulbox-conformance-');
      try {
        await stopAndSave(stage.bench, sandbox.instance, directory);
      } finally {
        await rm(directory, { recursive: true });
      }
      const { driver } = stage.bench;
      await driver.thaw(sandbox.instance);
      expect((await sandbox.sh('pgrep -c python3')).stdout).toBe('1\n');
      const limit = (): number => driver.sample(sandbox.instance).memoryLimitBytes;
      await expect.poll(limit, { timeout: 10_000 }).toBe(memoryMb * 2 ** 20);
    });

    test('a saved sandbox can continue to run', async () => {
      await using sandbox = await stage.bench.start();
      await sandbox.sh('setsid sleep 600 > /dev/null 2>&1 &');
      await stopAndSave(stage.bench, sandbox.instance);
      await stage.bench.driver.thaw(sandbox.instance);
      expect((await sandbox.sh('echo on; pgrep -c sleep')).stdout).toBe('on\n1\n');
    });

    test('destroy ends a saved sandbox that is still frozen', async () => {
      await using sandbox = await stage.bench.start();
      await stopAndSave(stage.bench, sandbox.instance);
      await stage.bench.driver.destroy(sandbox.spec.sandboxId, sandbox.spec.directory);
      expect(await hostTraces(sandbox.spec)).toEqual([]);
    });

    describe('from a checkpoint', () => {
      /** A suspended sandbox and its checkpoint. */
      async function suspended(): Promise<{ sandbox: TestSandbox; kept: SandboxSpec; memory: SavedMemory }> {
        const sandbox = await stage.bench.start();
        await sandbox.sh('echo kept > /kept');
        const memory = await stopAndSave(stage.bench, sandbox.instance);
        await stage.bench.driver.suspend(sandbox.spec.sandboxId, sandbox.spec.directory);
        return { sandbox, kept: { ...sandbox.spec, disk: 'kept' }, memory };
      }

      async function expectOnlyTheDisk(spec: SandboxSpec): Promise<void> {
        expect(await hostTraces(spec)).toEqual([]);
        expect(await stage.bench.driver.listTraces()).not.toContain(spec.sandboxId);
        expect((await run('find', [spec.directory, '-type', 'f'])).trim().split('\n').length).toBe(1);
      }

      const damages: Record<string, (directory: string, files: readonly string[]) => Promise<void>> = {
        'an empty folder': async (_, files) => {
          for (const file of files) await rm(file);
        },
        'a folder that is not there': async (directory) => await rm(directory, { recursive: true }),
        'files cut in half': async (_, files) => {
          for (const file of files) await truncate(file, Math.floor((await stat(file)).size / 2));
        },
        'files of nothing': async (_, files) => {
          for (const file of files) await truncate(file, 0);
        },
      };

      test.each(Object.entries(damages))('%s fails the restore and keeps the disk', async (_, damage) => {
        const { kept, memory } = await suspended();
        const directory = `${memory.directory}-damaged`;
        await cp(memory.directory, directory, { recursive: true });
        await damage(
          directory,
          (await readdir(directory)).map((name) => join(directory, name)),
        );
        const error: unknown = await stage.bench.driver
          .restore(kept, { ...memory, directory })
          .catch((e: unknown) => e);
        expect(['sandbox_resume_failed', 'state_damaged']).toContain((error as SoulBoxError).reason);
        await expectOnlyTheDisk(kept);
        await using restored = await stage.bench.restore(memory, kept);
        expect((await restored.sh('cat /kept')).stdout).toBe('kept\n');
      });

      test('a network that cannot be attached fails the restore, and another attempt works', async () => {
        const { kept, memory } = await suspended();
        const attachNetwork = (): Promise<void> => Promise.reject(new SoulBoxError('limit_exceeded', 'No address.'));
        await expect(stage.bench.driver.restore({ ...kept, attachNetwork }, memory)).rejects.toThrow('No address.');
        await expectOnlyTheDisk(kept);
        await using restored = await stage.bench.restore(memory, kept);
        expect((await restored.sh('cat /kept')).stdout).toBe('kept\n');
      });

      test('a restored sandbox gets its network before any of its processes runs', async () => {
        const { kept, memory } = await suspended();
        let answered: unknown = 'not tried';
        const attachNetwork = async (namespace: string): Promise<void> => {
          await kept.attachNetwork(namespace);
          const [, pid = ''] = /\/proc\/(\d+)\//.exec(namespace) ?? [];
          answered = await run('nsenter', [`--net=/proc/${pid}/ns/net`, 'ss', '-Hltn']).catch((e: unknown) => e);
        };
        await using restored = await stage.bench.restore(memory, { ...kept, attachNetwork });
        expect(answered).toBe('');
        expect((await restored.sh('echo on')).stdout).toBe('on\n');
      });

      test('destroy ends a restore at any moment', async () => {
        const { memory, layer } = await freezeInto(stage.bench, await stage.bench.start());
        for (let delayMs = 0; delayMs < 150; delayMs += 10) {
          const spec = await stage.bench.createSpec({ layers: [layer] });
          const restoring = stage.bench.driver.restore(spec, memory).catch(() => undefined);
          await sleep(delayMs);
          await stage.bench.driver.destroy(spec.sandboxId, spec.directory);
          await restoring;
          expect(await hostTraces(spec)).toEqual([]);
          expect(await stage.bench.driver.listTraces()).not.toContain(spec.sandboxId);
        }
        await using copy = await stage.bench.restore(memory, await stage.bench.createSpec({ layers: [layer] }));
        expect((await copy.sh('echo on')).stdout).toBe('on\n');
      }, 60_000);

      test('a missing disk fails the restore', async () => {
        const { kept, memory } = await suspended();
        await rm(kept.directory, { recursive: true });
        await run('mkdir', ['-m', '700', kept.directory]);
        await expect(stage.bench.driver.restore(kept, memory)).rejects.toMatchObject({
          reason: 'sandbox_resume_failed',
        });
        expect(await hostTraces(kept)).toEqual([]);
      });
    });
  });
}
