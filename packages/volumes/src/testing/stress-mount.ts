import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { removeTree, run } from '@soulbox/base';
import { createVolume } from '../volume/open.ts';
import { mountVolume } from './mounted-volume.ts';

/** Programs of Debian that try file systems. */
export const stressPrograms = { stressNg: '/usr/bin/stress-ng', fio: '/usr/bin/fio' } as const;

/**
 * Those of stress-ng that use files in a folder, need no other file system, and stay within a few GiB of memory. `getdent`
 * and `io` are missing: they open folders of all mounts of the host, and wait for those of others.
 */
export const stressors = [
  ...[
    'access',
    'aio',
    'chdir',
    'chmod',
    'chown',
    'copy-file',
    'dentry',
    'dir',
    'dirdeep',
    'dirmany',
    'dup',
    'fallocate',
  ],
  ...['fcntl', 'file-ioctl', 'filename', 'filerace', 'flock', 'fpunch', 'fsize', 'fstat', 'handle', 'hdd'],
  ...['inode-flags', 'iomix', 'lease', 'link', 'locka', 'lockf', 'lockmix', 'lockofd', 'metamix', 'mknod', 'mmap'],
  ...['msync', 'open', 'readahead', 'rename', 'revio', 'seek', 'sendfile', 'symlink', 'sync-file', 'touch', 'umask'],
  ...['unlink', 'utime', 'xattr'],
] as const;

export interface StressOptions {
  readonly stressors: readonly string[];
  /** For each. */
  readonly seconds: number;
}

/**
 * Runs stress-ng in a folder, one stressor after the other, with its own checks. Returns how many passed; those that are
 * not possible there are left out. Throws what failed.
 */
export async function stress(folder: string, { stressors: names, seconds }: StressOptions): Promise<number> {
  const options = ['--verify', '--metrics-brief', '--temp-path', folder, '--timeout', String(seconds)];
  // What is written is in files of at most this size, and the mount has a disk of its own to fill only in theory.
  const sizes = ['--hdd-bytes', '64m', '--iomix-bytes', '64m', '--fallocate-bytes', '64m', '--sync-file-bytes', '64m'];
  const counts = ['--with', names.join(','), '--seq', '1'];
  // Some take long to remove what they made.
  const timeoutMs = 60_000 + names.length * (seconds + 20) * 1000;
  // It writes its report to standard output.
  const report = await run(stressPrograms.stressNg, [...counts, ...options, ...sizes], { cwd: folder, timeoutMs });
  return Number(/passed: (\d+)/.exec(report)?.[1] ?? 0);
}

/** Writes anywhere in a file, with checksums, and reads all of it again. Throws if a byte differs. */
export async function verifyWrites(folder: string, megabytes: number): Promise<void> {
  const job = ['--name=verify', `--directory=${folder}`, `--size=${megabytes}m`, '--ioengine=psync', '--randrepeat=0'];
  const work = ['--rw=randwrite', '--bsrange=4k-256k', '--verify=crc32c', '--do_verify=1', '--verify_fatal=1'];
  await run(stressPrograms.fio, [...job, ...work], { cwd: folder, timeoutMs: 600_000 });
}

/** Runs the built pjdfstest of `source` in a folder. Returns the end of its report; throws it if a test failed. */
export async function testPosix(source: string, folder: string): Promise<string> {
  const report = await run('prove', ['-r', '--timer', join(source, 'tests')], { cwd: folder, timeoutMs: 3_600_000 });
  return report.trim().split('\n').slice(-3).join('\n');
}

/** Calls `work` with a folder on each kind of mount of a new volume: one that shares it, and a single one. */
export async function onEachMount(
  data: string,
  work: (folder: string, kind: 'shared' | 'single') => Promise<void>,
): Promise<void> {
  for (const [count, kind] of [
    [2, 'shared'],
    [1, 'single'],
  ] as const) {
    const place = join(data, kind);
    await mkdir(place);
    const quota = { bytes: undefined, inodes: 1_000_000 };
    createVolume(place, { id: 'v', quota, root: { uid: 0, gid: 0, mode: 0o755 } });
    const mounted = await mountVolume(place, count);
    try {
      const folder = join(mounted.mounts[0] ?? '', 'work');
      await mkdir(folder);
      await work(folder, kind);
      await removeTree(folder);
    } finally {
      await mounted[Symbol.asyncDispose]();
    }
    if (mounted.output() !== 'ready\nunmounted\n') throw new Error(`The server of the mount says: ${mounted.output()}`);
    await removeTree(place);
  }
}

export const hasStressPrograms = (): boolean => Object.values(stressPrograms).every((path) => existsSync(path));
