/** @module-tag violation */
// Volumes in real sandboxes with gVisor: FUSE file systems in memory, which this process serves.
import { randomId, run } from '@soulbox/base';
import { silentLogger } from '@soulbox/base/logger';
import { createMemoryFs, openMemoryVolume } from '@soulbox/testing/memory-volume';
import { expect, test } from 'vitest';
import { hostTraces } from '../../conformance/host-traces.ts';
import { openPreparedBench } from '../../conformance/prepared-bench.ts';
import { stopAndSave } from '../../conformance/saved-sandboxes.ts';
import { ordinaryUser } from '../../conformance/test-sandbox.ts';
import type { TestSandbox } from '../../conformance/test-sandbox.ts';
import type { SandboxSpec, SavedMemory } from '../../driver.ts';
import { createGvisorDriver } from '../driver.ts';
import { testInstance } from '../testing/test-instance.ts';

const driver = createGvisorDriver({ logger: silentLogger, instance: testInstance });
const bench = await openPreparedBench({ driver, instanceNumber: testInstance, firstNumber: 800 });

type Files = ReturnType<typeof createMemoryFs>;

/** Mounts a volume at each path; without `files`, a new one. */
async function attach({ instance }: TestSandbox, paths: readonly string[], files?: Files): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const volumes = [];
  for (const [index, path] of paths.entries()) {
    const volume = await openMemoryVolume({ source: `volume-${index}`, ...(files !== undefined && { files }) });
    stack.defer(() => volume.release());
    volumes.push({ index, path, mount: volume.mount });
  }
  await driver.attachVolumes(instance, volumes);
}

async function attachOne({ instance }: TestSandbox, index: number, path: string): Promise<void> {
  const volume = await openMemoryVolume({ source: `volume-${index}` });
  try {
    await driver.attachVolumes(instance, [{ index, path, mount: volume.mount }]);
  } finally {
    volume.release();
  }
}

const outputOf = async (sandbox: TestSandbox, script: string, uid = 0): Promise<string> => {
  const { stdout, stderr } = await sandbox.sh(script, uid);
  return (stdout + stderr).trim();
};
/** A script that waits, for 10 s at most. */
const whenThere = (path: string): string => `for i in $(seq 200); do [ -s ${path} ] && break; sleep 0.05; done`;

async function startProgram(sandbox: TestSandbox, program: string): Promise<void> {
  await sandbox.sh(`cat > /program.py << 'END'\n${program}\nEND\nsetsid python3 /program.py > /log 2>&1 &`);
  expect(await outputOf(sandbox, `${whenThere('/ready')}; cat /ready /log`)).toBe('ready');
}

/** Ends the sandbox and restores it on its disk, with the volume at /data. */
async function restore(spec: SandboxSpec, memory: SavedMemory, files: Files): Promise<TestSandbox> {
  const volume = await openMemoryVolume({ source: 'volume-0', files });
  try {
    const volumes = [{ index: 0, path: '/data', mount: volume.mount }];
    return await bench.restore(memory, { ...spec, disk: 'kept', generation: randomId(20), volumes });
  } finally {
    volume.release();
  }
}

test('a volume has the owners of the sandbox, and its folder is made for its root', async () => {
  await using sandbox = await bench.start();
  await sandbox.sh('mkdir -m 700 /own && chown 1000 /own');
  await attach(sandbox, ['/data/deep/volume', '/own/folder/volume']);
  expect(await outputOf(sandbox, 'stat -c "%u %g %a" /own /own/folder')).toBe('1000 0 700\n0 0 755');
  await sandbox.sh('cd /data/deep/volume && chmod 777 . && echo root > root && chown 33:34 root');
  await sandbox.sh('cd /data/deep/volume && echo user > user && mkdir folder', ordinaryUser);
  const listed = await outputOf(sandbox, 'cd /data/deep/volume && stat -c "%n %u %g" *; cat root user');
  expect(listed).toBe('folder 1000 1000\nroot 33 34\nuser 1000 1000\nroot\nuser');
  expect((await sandbox.sh('chown 0 /data/deep/volume/user', ordinaryUser)).exitCode).not.toBe(0);
  expect((await sandbox.sh('umount -l /data/deep/volume')).exitCode).not.toBe(0);
  expect((await sandbox.sh('rmdir /data/deep/volume')).exitCode).not.toBe(0);
  // Neither a path nor a process of the host.
  expect(await outputOf(sandbox, 'grep -c soulbox-9 /proc/self/mountinfo; ps ax | grep -c "[b]ind-volumes"')).toBe(
    '0\n0',
  );
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
  expect(await outputOf(sandbox, 'touch /run/soulbox-volumes/1/file')).toContain('Read-only file system');
  // Places without a volume, and what is above them.
  expect(await outputOf(sandbox, 'touch /run/soulbox-volumes/9/file')).toContain('Read-only file system');
  expect(await outputOf(sandbox, 'mkdir /run/soulbox-volumes/x')).toContain('Read-only file system');
  // Links are followed in the sandbox, never by the host.
  const links =
    'cd /srv/target/first; ln -s /etc/hostname a; ln -s ../../../../../etc/hostname b; cat a b; ls /srv/target/first/..';
  expect(await outputOf(sandbox, links)).toBe('sandbox\nsandbox\nfirst');
  await sandbox[Symbol.asyncDispose]();
});

const system = 'a folder of the system';
const refusals: readonly [path: string, why: string][] = [
  ...['proc', 'run', 'dev', 'etc', 'all', 'envd'].map((name): [string, string] => [`/to-${name}`, system]),
  ...['/to-run/new/folder', '/to-dev/shm', '/to-all/run/new', '/to-all/sys/fs'].map((path): [string, string] => [
    path,
    system,
  ]),
  ['/to-magic', 'permission denied'],
  ['/file', 'Not a directory'],
  ['/file/below', 'Not a directory'],
  ['/dangling', 'file already exists'],
  ['/loop', 'too many symbolic links'],
  [`/${'n'.repeat(300)}`, 'name too long'],
];

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
  const mounts = 'cut -d " " -f 5- /proc/1/mountinfo; ls / /run /dev /etc';
  const before = await outputOf(sandbox, mounts);
  for (const [index, [path, why]] of refusals.entries()) {
    // Each takes a place: a sandbox with a volume that cannot be mounted is ended.
    const attached = attachOne(sandbox, index, path);
    await expect(attached, path).rejects.toThrow(expect.objectContaining({ reason: 'volume_mount_failed' }));
    await expect(attached, path).rejects.toThrow(why);
    await expect(attached, path).rejects.toThrow(JSON.stringify(path));
  }
  expect(await outputOf(sandbox, mounts)).toBe(before);
  await expect(attachOne(sandbox, 16, '/beyond')).rejects.toThrow('at most 16 volumes');
  await expect(attachOne(sandbox, 3, '/twice')).rejects.toThrow('could not be mounted');
});

test('no program inside moves or covers the places, and a sandbox that has ended gets no volume', async () => {
  const sandbox = await bench.start();
  for (const attempt of ['mv /run /moved', 'mv /run/soulbox-volumes /x', 'rmdir /run/soulbox-volumes/0'])
    expect([attempt, (await sandbox.sh(attempt)).exitCode]).not.toEqual([attempt, 0]);
  await attachOne(sandbox, 0, '/data');
  expect(await outputOf(sandbox, 'echo text > /data/file; cat /run/soulbox-volumes/0/file')).toBe('text');
  await sandbox[Symbol.asyncDispose]();
  await expect(attachOne(sandbox, 1, '/data')).rejects.toThrow('the sandbox has ended');
  expect(await hostTraces(sandbox.spec)).toEqual([]);
});

test('files of the template cannot put code into the program that mounts', async () => {
  await using sandbox = await bench.start();
  const planted = 'require("fs").writeFileSync("/planted", "ran")';
  await sandbox.sh(`
    echo '${planted}' > /preload.js; mkdir -p /node_modules/bun:ffi /node_modules/node:fs /root/.config
    for place in / /root /root/.config /run/soulbox; do
      echo 'preload = ["/preload.js"]' > $place/bunfig.toml; cp $place/bunfig.toml $place/.bunfig.toml
      printf 'BUN_OPTIONS=--preload=/preload.js\nLD_PRELOAD=/x.so\nNODE_OPTIONS=--require=/preload.js\n' > $place/.env
      echo '{"compilerOptions":{"paths":{"node:fs":["/preload.js"],"node:util":["/preload.js"]}}}' > $place/tsconfig.json
      echo '{"name":"x","imports":{"node:fs":"/preload.js"},"main":"/preload.js"}' > $place/package.json
    done
    echo '${planted}' > /node_modules/node:fs/index.js; echo 'invalid' > /etc/ld.so.preload`);
  await attach(sandbox, ['/data']);
  await sandbox.sh('rm /etc/ld.so.preload');
  expect(await outputOf(sandbox, 'echo works > /data/file; cat /data/file; ls /planted')).toMatch(
    /^works\nls: .*No such file or directory$/,
  );
  await sandbox[Symbol.asyncDispose]();
});

test('each sandbox sees at once what the other one changes', async () => {
  const files = createMemoryFs();
  await using one = await bench.start();
  await using two = await bench.start();
  await attach(one, ['/data'], files);
  await attach(two, ['/mnt/other'], files);
  await one.sh('cd /data && echo a > a && echo b > b && mkdir d && ln a hard && ln -s a soft');
  expect(await outputOf(two, 'cd /mnt/other && cat a b hard soft && stat -c %h a')).toBe('a\nb\na\na\n2');
  await two.sh('cd /mnt/other && echo more > e && mv b d/c && rm hard && truncate -s 100 d/c');
  expect(await outputOf(one, 'cd /data && cat e && ls . d && stat -c "%h %s" a d/c')).toBe(
    'more\n.:\na\nd\ne\nsoft\n\nd:\nc\n1 2\n1 100',
  );
  await two.sh('cd /mnt/other && rm a e && echo new > a && rm -r d');
  expect(await outputOf(one, 'cd /data && cat a && ls')).toBe('new\na\nsoft');
  expect(await outputOf(one, 'df --output=target,size,used /data | tail -1')).toMatch(/^\/data +262144 +\d+$/);
  await Promise.all([one, two].map(async (sandbox) => await sandbox[Symbol.asyncDispose]()));
});

test('what a program has written through memory is in the volume after a sync, also while it is frozen', async () => {
  const files = createMemoryFs();
  await using sandbox = await bench.start();
  await using reader = await bench.start();
  await attach(sandbox, ['/data'], files);
  await attach(reader, ['/data'], files);
  await startProgram(
    sandbox,
    `
import mmap, time
with open("/data/file", "w+b") as file:
  file.truncate(4096)
  memory = mmap.mmap(file.fileno(), 4096)
  memory[0:7] = b"changed"
  open("/ready", "w").write("ready")
  time.sleep(600)`,
  );
  await driver.freeze(sandbox.instance);
  await driver.syncVolumes(sandbox.instance);
  expect(await outputOf(reader, 'head -c 7 /data/file')).toBe('changed');
  await driver.thaw(sandbox.instance);
  await sandbox[Symbol.asyncDispose]();
  await expect(driver.syncVolumes(sandbox.instance)).rejects.toThrow();
});

const holder = `
import fcntl, os, time
kept = open("/data/log", "a")
fcntl.flock(kept, fcntl.LOCK_EX)
os.chdir("/data/folder")
open("/ready", "w").write("ready")
while not os.path.exists("/go"): time.sleep(0.02)
kept.write("after\\n"); kept.flush()
open("/told", "w").write(os.getcwd())
`;

test('programs keep their open files on a volume over a pause, and see what others have written meanwhile', async () => {
  const files = createMemoryFs();
  const sandbox = await bench.start();
  await using other = await bench.start();
  await attach(sandbox, ['/data'], files);
  await attach(other, ['/data'], files);
  await sandbox.sh('mkdir /data/folder; echo before > /data/log');
  await startProgram(sandbox, holder);
  const memory = await stopAndSave(bench, sandbox.instance);
  await driver.suspend(sandbox.spec.sandboxId, sandbox.spec.directory);
  await other.sh('echo meanwhile >> /data/log');
  const kept = { ...sandbox.spec, disk: 'kept', generation: randomId(20) } as const;
  await expect(driver.restore(kept, memory)).rejects.toThrow('other volumes (volume-0) than it gets (none)');
  const restored = await restore(sandbox.spec, memory, files);
  expect(await outputOf(restored, `touch /go; ${whenThere('/told')}; cat /told /log`)).toBe('/data/folder');
  expect(await outputOf(other, 'cat /data/log; ls /data')).toBe('before\nmeanwhile\nafter\nfolder\nlog');
  expect((await restored.sh('umount /data')).exitCode).not.toBe(0);
  expect(await run('cat', ['/proc/self/mountinfo'])).not.toContain('volume-0');
  await attachOne(restored, 1, '/late');
  await restored[Symbol.asyncDispose]();
  expect(await hostTraces(sandbox.spec)).toEqual([]);
  await other[Symbol.asyncDispose]();
});

test('a deleted file that is open stops a save, and one that others remove meanwhile a restore, until it is back', async () => {
  const files = createMemoryFs();
  await using other = await bench.start();
  const sandbox = await bench.start();
  await attach(sandbox, ['/data'], files);
  await attach(other, ['/data'], files);
  await sandbox.sh('mkdir /data/folder; exec 3> /data/lost; rm /data/lost; sleep 4 <&3 > /dev/null 2>&1 &');
  await expect(stopAndSave(bench, sandbox.instance)).rejects.toThrow('has a file open that was deleted');
  await driver.thaw(sandbox.instance);
  expect(await outputOf(sandbox, 'sleep 5; echo lives')).toBe('lives');
  await startProgram(sandbox, holder);
  const memory = await stopAndSave(bench, sandbox.instance);
  await driver.suspend(sandbox.spec.sandboxId, sandbox.spec.directory);
  await other.sh('mv /data/log /data/away');
  const generation = randomId(20);
  const volume = await openMemoryVolume({ source: 'volume-0', files });
  const volumes = [{ index: 0, path: '/data', mount: volume.mount }];
  const restoring = driver.restore({ ...sandbox.spec, disk: 'kept', generation, volumes }, memory);
  await expect(restoring).rejects.toThrow('a file or folder of a volume open that others have removed');
  volume.release();
  await volume.closed;
  expect(await driver.hasRunAgain(sandbox.spec.sandboxId, sandbox.spec.directory, generation)).toBe(false);
  await other.sh('mv /data/away /data/log');
  const restored = await restore(sandbox.spec, memory, files);
  expect(await outputOf(restored, `touch /go; ${whenThere('/told')}; cat /told /data/log`)).toBe('/data/folderafter');
  await restored[Symbol.asyncDispose]();
  await other[Symbol.asyncDispose]();
});
