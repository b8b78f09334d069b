import { existsSync } from 'node:fs';

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

/** The arguments of stress-ng for a folder: one stressor after the other, with its own checks. */
export function stressArguments(folder: string, { stressors: names, seconds }: StressOptions): string[] {
  const options = ['--verify', '--metrics-brief', '--temp-path', folder, '--timeout', String(seconds)];
  // What is written is in files of at most this size, and the mount has a disk of its own to fill only in theory.
  const sizes = ['--hdd-bytes', '64m', '--iomix-bytes', '64m', '--fallocate-bytes', '64m', '--sync-file-bytes', '64m'];
  return ['--with', names.join(','), '--seq', '1', ...options, ...sizes];
}

/** How many stressors have passed, by the report of stress-ng. */
export const passedOf = (report: string): number => Number(/passed: (\d+)/.exec(report)?.[1] ?? 0);

/** Some take long to remove what they made. */
export const stressMs = ({ stressors: names, seconds }: StressOptions): number =>
  60_000 + names.length * (seconds + 20) * 1000;

/** The arguments of fio that writes anywhere in a file, with checksums, and reads all of it again. */
export function fioArguments(folder: string, megabytes: number): string[] {
  const job = ['--name=verify', `--directory=${folder}`, `--size=${megabytes}m`, '--ioengine=psync', '--randrepeat=0'];
  return [...job, '--rw=randwrite', '--bsrange=4k-256k', '--verify=crc32c', '--do_verify=1', '--verify_fatal=1'];
}

export const hasStressPrograms = (): boolean => Object.values(stressPrograms).every((path) => existsSync(path));
