/** @module-tag violation */
// Volumes in real sandboxes: FUSE file systems in memory, which this process serves.
import { randomId, run } from '@soulbox/base';
import { silentLogger } from '@soulbox/base/logger';
import { createMemoryFs, openMemoryVolume } from '@soulbox/testing/memory-volume';
import { expect, test } from 'vitest';
import { hostTraces } from '../conformance/host-traces.ts';
import { openPreparedBench } from '../conformance/prepared-bench.ts';
import { stopAndSave } from '../conformance/saved-sandboxes.ts';
import { ordinaryUser } from '../conformance/test-sandbox.ts';
import type { TestSandbox } from '../conformance/test-sandbox.ts';
import { createContainerDriver } from './driver.ts';
import { criu } from './testing/test-criu.ts';
import { testInstance } from './testing/test-instance.ts';

const driver = createContainerDriver({ logger: silentLogger, instance: testInstance, criu });
const bench = await openPreparedBench({ driver, instanceNumber: testInstance, firstNumber: 800 });

/** Mounts a new volume at each path. */
async function attach({ instance }: TestSandbox, ...paths: string[]): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const volumes = [];
  for (const [index, path] of paths.entries()) {
    const volume = await openMemoryVolume({ source: `volume-${index}` });
    stack.defer(() => volume.release());
    volumes.push({ index, path, mount: volume.mount });
  }
  await driver.attachVolumes(instance, volumes);
}

const outputOf = async (sandbox: TestSandbox, script: string, uid = 0): Promise<string> => {
  const { stdout, stderr } = await sandbox.sh(script, uid);
  return (stdout + stderr).trim();
};

test('a volume has the owners of the sandbox, and its folder is made for its root', async () => {
  await using sandbox = await bench.start();
  await sandbox.sh('mkdir -m 700 /own && chown 1000 /own');
  await attach(sandbox, '/data/deep/volume', '/own/folder/volume');
  expect(await outputOf(sandbox, 'stat -c "%u %g %a" /own /own/folder')).toBe('1000 0 700\n0 0 755');
  expect(await outputOf(sandbox, 'stat -c "%u %g %a %F" /data /data/deep')).toBe(
    Array(2).fill('0 0 755 directory').join('\n'),
  );
  await sandbox.sh('cd /data/deep/volume && chmod 777 . && echo root > root && chown 33:34 root');
  await sandbox.sh('cd /data/deep/volume && echo user > user && mkdir folder', ordinaryUser);
  const listed = await outputOf(sandbox, 'cd /data/deep/volume && stat -c "%n %u %g" *; cat root user');
  expect(listed).toBe('folder 1000 1000\nroot 33 34\nuser 1000 1000\nroot\nuser');
  expect((await sandbox.sh('chown 0 /data/deep/volume/user', ordinaryUser)).exitCode).not.toBe(0);
  expect((await sandbox.sh('umount -l /data/deep/volume')).exitCode).not.toBe(0);
  expect((await sandbox.sh('rmdir /data/deep/volume')).exitCode).not.toBe(0);
  const mounts = (await outputOf(sandbox, 'grep fuse /proc/self/mountinfo')).split('\n');
  expect(mounts).toHaveLength(2);
  expect(mounts[0]).toMatch(/ \/ \/data\/deep\/volume rw,nosuid,nodev,relatime,idmapped - fuse volume-0 rw,/);
});

test('two volumes are apart, a link inside leads to its target, and each can be written only if it may be', async () => {
  await using sandbox = await bench.start();
  await sandbox.sh('mkdir /srv/target && ln -s /srv/target /srv/link');
  await using first = await openMemoryVolume({ source: 'volume-0' });
  await using second = await openMemoryVolume({ source: 'volume-1', isReadOnly: true });
  await driver.attachVolumes(sandbox.instance, [
    { index: 0, path: '/srv/link/first', mount: first.mount },
    { index: 1, path: '/srv/second', mount: second.mount },
  ]);
  expect(await outputOf(sandbox, 'echo one > /srv/target/first/file; ls /srv /srv/target/first')).toBe(
    '/srv:\nlink\nsecond\ntarget\n\n/srv/target/first:\nfile',
  );
  expect(await outputOf(sandbox, 'touch /srv/second/file')).toContain('Read-only file system');
  await sandbox[Symbol.asyncDispose]();
});

test('no link inside, and no file, makes a volume appear where none may be', async () => {
  await using sandbox = await bench.start();
  const links = {
    proc: '/proc',
    run: '/run',
    dev: '/dev',
    etc: '/etc',
    all: '/',
    envd: '/.soulbox',
    magic: '/proc/1/root',
  };
  for (const [name, target] of Object.entries(links)) await sandbox.sh(`ln -s ${target} /to-${name}`);
  await sandbox.sh('echo text > /file; ln -s /nowhere /dangling; ln -s /loop /loop; mkdir -p /a; ln -s /a /b');
  const before = await outputOf(sandbox, 'cat /proc/1/mountinfo; ls / /run /dev /etc');
  const refused: [string, string][] = [
    ...Object.keys(links).map((name): [string, string] => [`/to-${name}`, 'a folder of the system']),
    ...['/to-proc/self', '/to-run/new/folder', '/to-dev/shm', '/to-all/run/new', '/to-envd/new', '/to-all/sys/fs'].map(
      (path): [string, string] => [path, 'a folder of the system'],
    ),
    ['/file', 'Not a directory'],
    ['/file/below', 'Not a directory'],
    ['/dangling', 'File exists'],
    ['/loop', 'Too many levels of symbolic links'],
    [`/${'n'.repeat(300)}`, 'File name too long'],
    ['/proc/self', 'a folder of the system'],
  ];
  for (const [path, why] of refused) {
    const attached = attach(sandbox, path);
    await expect(attached, path).rejects.toThrow(expect.objectContaining({ reason: 'volume_mount_failed' }));
    await expect(attached, path).rejects.toThrow(why);
    await expect(attached, path).rejects.toThrow(JSON.stringify(path));
  }
  expect(await outputOf(sandbox, 'cat /proc/1/mountinfo; ls / /run /dev /etc')).toBe(before);
  await expect(attach(sandbox, '/a', '/b')).rejects.toThrow('"/b": it leads to');
  await expect(attach(sandbox, '/a/below')).rejects.toThrow('it leads to a folder of the system or into another mount');
});

test('a sandbox that has ended gets no volume, and nothing is left of one that had some', async () => {
  const sandbox = await bench.start();
  await using volume = await openMemoryVolume({ source: 'volume-0' });
  const volumes = [{ index: 0, path: '/data', mount: volume.mount }];
  await driver.attachVolumes(sandbox.instance, volumes);
  volume.release();
  await sandbox[Symbol.asyncDispose]();
  await volume.closed;
  expect(await hostTraces(sandbox.spec)).toEqual([]);
  await expect(driver.attachVolumes(sandbox.instance, volumes)).rejects.toThrow('the sandbox has ended');
});

test('what a program has written through memory is in the volume after a sync, also while it is frozen', async () => {
  const files = createMemoryFs();
  await using sandbox = await bench.start();
  await using first = await openMemoryVolume({ source: 'volume-0', files });
  await using second = await openMemoryVolume({ source: 'volume-1', files });
  // The second one shows what the first has given away, since each has pages of its own.
  await driver.attachVolumes(sandbox.instance, [
    { index: 0, path: '/with space', mount: first.mount },
    { index: 1, path: '/seen', mount: second.mount },
  ]);
  const program = `
import mmap, time
with open("/with space/file", "w+b") as file:
  file.truncate(4096)
  memory = mmap.mmap(file.fileno(), 4096)
  memory[0:7] = b"changed"
  open("/ready", "w").close()
  time.sleep(600)`;
  await sandbox.sh(`cat > /program.py << 'END'\n${program}\nEND\nsetsid python3 /program.py > /log 2>&1 &`);
  const wait = 'for i in $(seq 200); do [ -e /ready ] && break; sleep 0.05; done';
  // Past the pages of the second mount.
  const read = 'dd if=/seen/file iflag=direct bs=4096 2> /dev/null | head -c 7 | tr "\\0" 0';
  expect(await outputOf(sandbox, `${wait}; ${read}`)).toBe('0000000');
  await driver.freeze(sandbox.instance);
  await driver.syncVolumes(sandbox.instance);
  await driver.thaw(sandbox.instance);
  expect(await outputOf(sandbox, read)).toBe('changed');
  await sandbox[Symbol.asyncDispose]();
  await expect(driver.syncVolumes(sandbox.instance)).rejects.toThrow();
});

const holder = `
import os, sys, time
kept = open("/data/log", "a")
lost = open("/data/lost", "w+")
lost.write("unlinked"); lost.flush(); os.unlink("/data/lost")
os.chdir("/data/folder")
open("/ready", "w").close()
while not os.path.exists("/go"): time.sleep(0.02)
kept.write("after\\n"); kept.flush()
lost.seek(0)
open("/told", "w").write(lost.read() + " " + os.getcwd())
`;

test('programs keep their open files on a volume over a pause', async () => {
  const files = createMemoryFs();
  const sandbox = await bench.start();
  const { spec, instance } = sandbox;
  {
    await using volume = await openMemoryVolume({ source: 'volume-0', files });
    await using second = await openMemoryVolume({ source: 'volume-3', isReadOnly: true });
    await driver.attachVolumes(instance, [
      { index: 0, path: '/data', mount: volume.mount },
      { index: 3, path: '/srv/read', mount: second.mount },
    ]);
    volume.release();
    second.release();
    await sandbox.sh(`mkdir /data/folder; echo before > /data/log; cat > /holder.py << 'END'\n${holder}\nEND`);
    await sandbox.sh('setsid python3 /holder.py > /log 2>&1 &');
    expect(await outputOf(sandbox, 'for i in $(seq 200); do [ -e /ready ] && break; sleep 0.05; done; cat /log')).toBe(
      '',
    );
    const memory = await stopAndSave(bench, instance);
    await driver.suspend(spec.sandboxId, spec.directory);
    await resume(memory);
  }

  async function resume(memory: Awaited<ReturnType<typeof stopAndSave>>): Promise<void> {
    const kept = { ...spec, disk: 'kept', generation: randomId(20) } as const;
    await expect(driver.restore(kept, memory)).rejects.toThrow(
      'other volumes (volume/0, volume/3) than it gets (none)',
    );
    await using volume = await openMemoryVolume({ source: 'volume-0', files });
    await using second = await openMemoryVolume({ source: 'volume-3', isReadOnly: true });
    const volumes = [
      { index: 0, path: '/data', mount: volume.mount },
      { index: 3, path: '/srv/read', mount: second.mount },
    ];
    await using restored = await bench.restore(memory, { ...kept, volumes });
    volume.release();
    second.release();
    const told = await outputOf(
      restored,
      'touch /go; for i in $(seq 100); do [ -s /told ] && break; sleep 0.05; done; cat /told /log',
    );
    expect(told).toBe('unlinked /data/folder');
    expect(await outputOf(restored, 'cat /data/log; ls /data; stat -c %u /data/log')).toBe(
      'before\nafter\nfolder\nlog\n0',
    );
    expect(await outputOf(restored, 'touch /srv/read/file')).toContain('Read-only file system');
    const mounts = await outputOf(restored, 'grep fuse /proc/self/mountinfo | cut -d " " -f 4-6 | sort');
    expect(mounts).toBe('/ /data rw,nosuid,nodev,relatime,idmapped\n/ /srv/read ro,nosuid,nodev,relatime,idmapped');
    expect(await run('cat', ['/proc/self/mountinfo'])).not.toContain('volume-0');
    await attach(restored, '/late');
    await restored[Symbol.asyncDispose]();
    expect(await hostTraces(spec)).toEqual([]);
  }
});
