import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { MissingPlace, Place } from './place.ts';

export interface Bucket {
  readonly endpoint: string;
  readonly name: string;
}

/** A program that shows a bucket as a folder, and ends when it is unmounted. */
interface BucketMounter {
  readonly name: string;
  readonly program: string;
  /** Writes what it needs below `work`, and returns its arguments. */
  readonly prepare: (bucket: Bucket, mount: string, work: string) => Promise<readonly string[]>;
}

const mountMs = 20_000;
/** It sends what it has collected first. */
const endMs = 120_000;

/** As they are, except that both write in the background or not as they do by default, and rclone collects writes. */
export const bucketMounters: readonly BucketMounter[] = [
  {
    name: 's3fs',
    program: '/usr/bin/s3fs',
    async prepare({ endpoint, name }, mount, work) {
      const passwords = join(work, 'passwords');
      await writeFile(passwords, 'a:b\n', { mode: 0o600 });
      return [name, mount, '-f', '-o', `url=${endpoint},use_path_request_style,passwd_file=${passwords}`];
    },
  },
  {
    name: 'rclone mount',
    program: '/usr/bin/rclone',
    async prepare({ endpoint, name }, mount, work) {
      const config = join(work, 'rclone.conf');
      const lines = ['[s3]', 'type = s3', 'provider = Other', 'access_key_id = a', 'secret_access_key = b'];
      await writeFile(config, `${[...lines, `endpoint = ${endpoint}`].join('\n')}\n`, { mode: 0o600 });
      const cache = ['--vfs-cache-mode', 'writes', '--cache-dir', join(work, 'cache')];
      return ['mount', `s3:${name}`, mount, '--config', config, ...cache];
    },
  },
];

/** Mounts a bucket below `work`, an empty folder on the disk of the comparison. */
export async function mountBucket(
  { name, program, prepare }: BucketMounter,
  bucket: Bucket,
  work: string,
): Promise<Place | MissingPlace> {
  if (!existsSync(program)) return { name, missing: `${program} is not installed` };
  const folder = join(work, 'mount');
  await mkdir(folder, { recursive: true });
  const args = await prepare(bucket, folder, work);
  // Without the settings of whoever runs the bench: rclone stops at those of other AWS programs.
  const env = { PATH: '/usr/bin:/bin', HOME: work };
  const child = spawn(program, args, { env, stdio: ['ignore', 'ignore', 'pipe'] });
  let complaint = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (complaint = `${complaint}${text}`.slice(-500)));
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  for (const giveUpAt = Date.now() + mountMs; !(await isMounted(folder));) {
    if (child.exitCode === null && Date.now() < giveUpAt) {
      await sleep(20);
      continue;
    }
    child.kill('SIGKILL');
    await unmount(folder);
    return { name, missing: `it did not mount: ${complaint.trim()}` };
  }
  return {
    ...{ name, folder },
    async [Symbol.asyncDispose]() {
      await unmount(folder);
      await endOf(child, ended);
    },
  };
}

async function isMounted(folder: string): Promise<boolean> {
  return (await readFile('/proc/self/mountinfo', 'utf8')).includes(` ${folder} `);
}

async function unmount(folder: string): Promise<void> {
  const child = spawn('umount', ['-l', folder], { stdio: 'ignore' });
  await new Promise<void>((resolve) => child.once('close', () => resolve()));
}

async function endOf(child: ChildProcess, ended: Promise<void>): Promise<void> {
  const late = setTimeout(() => child.kill('SIGKILL'), endMs);
  await ended;
  clearTimeout(late);
}
