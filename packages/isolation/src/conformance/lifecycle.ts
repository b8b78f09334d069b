import { readdir } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { run } from '@soulbox/base';
import type { Stage } from './stage.ts';
import { hostTraces } from './host-traces.ts';
import { ordinaryUser } from './test-sandbox.ts';

/** From the start, through a change of servers, to the end. */
export function describeLifecycle(stage: Stage): void {
  describe('lifecycle', () => {
    test('a server without knowledge of a running sandbox adopts it', async () => {
      await using sandbox = await stage.bench.start();
      await sandbox.sh('echo kept > /kept');
      const later = stage.tested.createDriver();
      const { sandboxId, directory } = sandbox.spec;
      const adopted = await later.adopt(sandboxId, directory);
      expect(adopted).toEqual(sandbox.instance);
      if (adopted === undefined) return;
      expect(later.isAlive(adopted)).toBe(true);
      expect(later.sample(adopted).cpuUsedSeconds).toBeGreaterThan(0);
      expect(await later.listTraces()).toContain(sandboxId);
      expect((await sandbox.sh('cat /kept')).stdout).toBe('kept\n');
      await later.destroy(sandboxId, directory);
      expect(later.isAlive(adopted)).toBe(false);
      expect(await hostTraces(sandbox.spec)).toEqual([]);
    });

    test('a sandbox that does not run is not adopted', async () => {
      await using sandbox = await stage.bench.start();
      const { sandboxId, directory } = sandbox.spec;
      process.kill(sandbox.instance.initPid, 'SIGKILL');
      while (stage.bench.driver.isAlive(sandbox.instance)) await sleep(2);
      expect(await stage.bench.driver.adopt(sandboxId, directory)).toBeUndefined();
      const spec = await stage.bench.createSpec();
      expect(await stage.bench.driver.adopt(spec.sandboxId, spec.directory)).toBeUndefined();
      expect(await stage.bench.driver.adopt('inone', '/proc/nowhere/inone')).toBeUndefined();
    });

    test('destroy removes every trace, whatever runs inside', async () => {
      await using sandbox = await stage.bench.start();
      void sandbox.sh('trap "" TERM INT; for i in $(seq 50); do sleep 600 & done; wait', ordinaryUser).catch(() => 0);
      void sandbox.sh('cd /tmp; exec 3>open-file; while :; do sh -c "sleep 0.01"; done').catch(() => 0);
      await sleep(300);
      expect((await hostTraces(sandbox.spec)).length).toBeGreaterThan(0);
      await stage.bench.driver.destroy(sandbox.spec.sandboxId, sandbox.spec.directory);
      expect(await hostTraces(sandbox.spec)).toEqual([]);
      const left = await readdir(dirname(sandbox.spec.directory));
      expect(left).not.toContain(basename(sandbox.spec.directory));
      expect(await stage.bench.driver.listTraces()).not.toContain(sandbox.spec.sandboxId);
    });

    test('destroy can be repeated, also by several callers at once', async () => {
      await using sandbox = await stage.bench.start();
      const { sandboxId, directory } = sandbox.spec;
      await Promise.allSettled([1, 2, 3].map(() => stage.bench.driver.destroy(sandboxId, directory)));
      await stage.bench.driver.destroy(sandboxId, directory);
      await stage.bench.driver.destroy(sandboxId, directory);
      expect(await hostTraces(sandbox.spec)).toEqual([]);
    });

    test('destroy of a sandbox that never existed does nothing', async () => {
      await stage.bench.driver.destroy('inever', '/proc/nowhere/inever');
    });

    test('destroy ends a frozen sandbox', async () => {
      await using sandbox = await stage.bench.start();
      const groups = await run('find', ['/sys/fs/cgroup', '-type', 'd', '-name', sandbox.spec.sandboxId]);
      for (const group of groups.trim().split('\n')) {
        await run('sh', ['-c', `cd ${group}; ! [ -e freezer.state ] || echo FROZEN > freezer.state`]);
        await run('sh', ['-c', `cd ${group}; ! [ -e cgroup.freeze ] || echo 1 > cgroup.freeze`]);
      }
      await stage.bench.driver.destroy(sandbox.spec.sandboxId, sandbox.spec.directory);
      expect(await hostTraces(sandbox.spec)).toEqual([]);
    });

    test('ten sandboxes start and end in parallel', async () => {
      const sandboxes = await Promise.all(Array.from({ length: 10 }, () => stage.bench.start()));
      const names = await Promise.all(sandboxes.map((sandbox) => sandbox.sh(`echo ${sandbox.spec.sandboxId}`)));
      expect(names.map((name) => name.stdout.trim())).toEqual(sandboxes.map(({ spec }) => spec.sandboxId));
      await Promise.all(sandboxes.map(({ spec }) => stage.bench.driver.destroy(spec.sandboxId, spec.directory)));
      expect(await hostTraces(...sandboxes.map(({ spec }) => spec))).toEqual([]);
    });

    test('a sandbox ends with its init', async () => {
      await using sandbox = await stage.bench.start();
      void sandbox.sh('sleep 600').catch(() => undefined);
      await sleep(100);
      process.kill(sandbox.instance.initPid, 'SIGKILL');
      for (let tries = 0; tries < 100 && stage.bench.driver.isAlive(sandbox.instance); tries++) await sleep(10);
      expect(stage.bench.driver.isAlive(sandbox.instance)).toBe(false);
      expect(await stage.bench.driver.whyEnded(sandbox.spec.sandboxId, sandbox.spec.directory)).toBeUndefined();
      const processes = (await hostTraces(sandbox.spec)).filter((line) => line.includes('sleep'));
      expect(processes).toEqual([]);
    });
  });
}
