import { mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { removeTree } from '@soulbox/base';
import { silentLogger } from '@soulbox/base/logger';
import { runConfined } from './confined.ts';
import { hasFileWall } from './file-wall.ts';

let folder: string;
let scratch: string;
const outside = (): string => join(folder, 'outside');
const hasWall = await hasFileWall(silentLogger);

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'soulbox-confined-'));
  scratch = join(folder, 'scratch');
  await mkdir(scratch);
  await writeFile(outside(), 'of the host');
  await writeFile(join(folder, 'archive'), 'given');
});
afterEach(() => removeTree(folder));

/** What a program that was taken over could do. Throws if it fails. */
const attempt = async (script: string): Promise<void> => {
  const options = { what: 'it', scratch, reads: [join(folder, 'archive')], timeoutMs: 10_000, logger: silentLogger };
  await runConfined('sh', ['-c', script], options);
};

test('what an archive needs is possible: files, links, moves, devices, owners', async () => {
  await attempt(
    `cd ${scratch} && mkdir -p a/b && cat ../archive > a/f && ln a/f a/b/g && mv a/f a/b/h && ln -s /etc/shadow a/l &&
     chown 1234:1234 a/b/g && mknod a/n c 1 3 && : > a/b/h && rm -r a/b && mkfifo a/p &&
     ip -o link | grep -q ': lo:' && setpriv --dump | grep -q 'no_new_privs: 1' &&
     setpriv --dump | grep -qi 'bounding set:.*chown' && echo done > end`,
  );
  expect(await readFile(join(scratch, 'end'), 'utf8')).toBe('done\n');
});

test.each([
  ['network but its own loopback', 'ip -o link | grep -v ": lo:"'],
  ['capability for mounts', 'setpriv --dump | grep -i "bounding set:.*sys_admin"'],
  ['capability to trace processes', 'setpriv --dump | grep -i "bounding set:.*sys_ptrace"'],
  ['way to new privileges', 'setpriv --dump | grep "no_new_privs: 0"'],
])('a program that unpacks has no %s', async (_what, script) => {
  await expect(attempt(script)).rejects.toMatchObject({ reason: 'bad_request' });
});

test.skipIf(!hasWall && process.env['CI'] !== 'true')(
  'as root, it can neither read nor change a file of the host, nor run what it has unpacked (skipped without Landlock)',
  async () => {
    for (const script of [
      `cat ${outside()}`,
      `echo x > ${outside()}`,
      `rm ${outside()}`,
      `echo x > ${folder}/new`,
      `ln ${outside()} ${scratch}/link`,
      `mv ${outside()} ${scratch}/moved`,
      `ln -s ${outside()} ${scratch}/symlink && cat ${scratch}/symlink`,
      `cat ${scratch}/../outside`,
      'cat /etc/shadow',
      'ls /root',
      'ls /var/lib',
      `echo x > ${folder}/archive`,
      `cp /usr/bin/true ${scratch}/program && ${scratch}/program`,
      'exec 3< /proc/1/root/etc/shadow',
      `mknod ${scratch}/disk b 7 0 && mv ${scratch}/disk ${folder}/disk`,
    ])
      await expect(attempt(script), script).rejects.toMatchObject({ reason: 'bad_request' });
    expect(await readFile(outside(), 'utf8')).toBe('of the host');
  },
);
