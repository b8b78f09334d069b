import { readdir, stat } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { run } from '@soulbox/base';
import type { SandboxSpec } from '../driver.ts';
import type { Stage } from './stage.ts';
import { hostTraces } from './host-traces.ts';

/** The rest of a suspended sandbox, and a start on it without memory. */
export function describeKeptDisks(stage: Stage): void {
  describe('kept disks', () => {
    test('suspend leaves a folder with a disk and nothing else on the host, and can be repeated', async () => {
      await using sandbox = await stage.bench.start();
      const { sandboxId, directory } = sandbox.spec;
      for (let times = 0; times < 3; times++) await stage.bench.driver.suspend(sandboxId, directory);
      expect(await hostTraces(sandbox.spec)).toEqual([]);
      expect(await stage.bench.driver.listTraces()).not.toContain(sandboxId);
      const disk = stage.bench.driver.diskPath(sandboxId, directory);
      expect(await run('find', [directory, '-mindepth', '1', '-type', 'f'])).toBe(`${disk}\n`);
      expect(await stage.bench.driver.adopt(sandboxId, directory)).toBeUndefined();
    });

    test('a start on it has the files and a new identity', async () => {
      const first = await stage.bench.start();
      const identity = 'cat /etc/machine-id /proc/sys/kernel/random/boot_id /run/soulbox/generation';
      const before = (await first.sh(`echo kept > /kept; echo past > /dev/shm/past; ${identity}`)).stdout.split('\n');
      await using second = await stage.bench.startOnKeptDisk(first);
      expect((await second.sh('cat /kept; ls -A /dev/shm; ps -e -o comm= | grep -c sleep')).stdout).toBe('kept\n0\n');
      const after = (await second.sh(identity)).stdout.split('\n');
      for (const index of [0, 1, 2]) expect(after[index]).not.toBe(before[index]);
    });

    test('links that a sandbox left do not lead outside', async () => {
      const first = await stage.bench.start();
      const outside = await stage.bench.makeFolder();
      await run('touch', [`${outside}/untouched`]);
      await first.sh(`rm -rf /run/soulbox/*; for name in generation host-token; do ln -s ${outside}/$name /run/soulbox/; done
        ln -s ${outside} /run/soulbox/folder; rm -rf /dev/shm; mv /dev /olddev; ln -s ${outside} /dev; ls -la / > /dev/null`);
      await using second = await stage.bench.startOnKeptDisk(first);
      expect(await run('find', [outside, '-mindepth', '1'])).toBe(`${outside}/untouched\n`);
      expect((await second.sh('cat /run/soulbox/host-token')).stdout).toBe(second.spec.hostToken.reveal());
    });

    test('a start that fails keeps it', async () => {
      const first = await stage.bench.start();
      await first.sh('echo kept > /kept');
      await stage.bench.driver.suspend(first.spec.sandboxId, first.spec.directory);
      const broken: SandboxSpec = { ...first.spec, disk: 'kept', attachNetwork: () => Promise.reject(new Error('no')) };
      await expect(stage.bench.driver.start(broken)).rejects.toMatchObject({ reason: 'sandbox_start_failed' });
      expect(await hostTraces(first.spec)).toEqual([]);
      await using second = await stage.bench.startOnKeptDisk(first);
      expect((await second.sh('cat /kept')).stdout).toBe('kept\n');
    });

    test('the disk of a frozen sandbox is copied with all written data, and is independent afterwards', async () => {
      await using source = await stage.bench.start();
      await source.sh(`head -c 20M /dev/urandom > /big; sha256sum /big > /sum; truncate -s 1G /sparse
        echo before > /file; ln -s /file /link; setsid sleep 600 > /dev/null 2>&1 &`);
      const layer = `${await stage.bench.makeFolder()}/layer.img`;
      await stage.bench.driver.freeze(source.instance);
      await stage.bench.driver.copyDisk(source.instance, layer);
      await stage.bench.driver.thaw(source.instance);
      await source.sh('echo after > /file; rm /big');
      expect((await source.sh('cat /file; ps -e -o comm= | grep -c sleep')).stdout).toBe('after\n1\n');
      const { mode, blocks } = await stat(layer);
      expect(mode & 0o777).toBe(0o400);
      expect(blocks * 512).toBeLessThan(64 * 2 ** 20);
      await using other = await stage.bench.start({ layers: [layer] });
      const { stdout } = await other.sh('sha256sum -c /sum; cat /file /link; stat -c %s /sparse');
      expect(stdout).toBe(`/big: OK\nbefore\nbefore\n${2 ** 30}\n`);
    });

    test('a copy fails where there is no space, and leaves nothing', async () => {
      await using source = await stage.bench.start();
      await stage.bench.driver.freeze(source.instance);
      const folder = await stage.bench.makeFolder();
      await run('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'soulbox-test', folder]);
      try {
        await expect(stage.bench.driver.copyDisk(source.instance, `${folder}/layer.img`)).rejects.toThrow();
        expect(await readdir(folder)).toEqual([]);
      } finally {
        await run('umount', [folder]);
      }
      await stage.bench.driver.thaw(source.instance);
      expect((await source.sh('echo fine')).stdout).toBe('fine\n');
    });

    test('destroy removes it', async () => {
      await using sandbox = await stage.bench.start();
      await stage.bench.driver.suspend(sandbox.spec.sandboxId, sandbox.spec.directory);
      await stage.bench.driver.destroy(sandbox.spec.sandboxId, sandbox.spec.directory);
      await expect(run('test', ['-e', sandbox.spec.directory])).rejects.toThrow();
    });
  });
}
