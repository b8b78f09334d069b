import { execFileSync, spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { chmodSync, copyFileSync, existsSync, mkdirSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openSshBench } from '../harness/ssh.ts';
import type { SshBench } from '../harness/ssh.ts';

let bench: SshBench;
beforeAll(async () => {
  bench = await openSshBench();
});
afterAll(async () => await bench[Symbol.asyncDispose]());

/** Puts the host's rsync with its libraries into the sandbox: the usual templates have none. Returns how to start it. */
async function installRsync(): Promise<string> {
  const libraries = [...execFileSync('ldd', ['/usr/bin/rsync'], { encoding: 'utf8' }).matchAll(/=> (\/\S+)/g)];
  const names = libraries.map(([, path = '']) => path).filter((path) => !/\/(?:libc|ld-linux)[.-]/.test(path));
  mkdirSync(join(bench.folder, 'rs'));
  for (const path of ['/usr/bin/rsync', ...names])
    copyFileSync(path, join(bench.folder, 'rs', path.split('/').at(-1) ?? ''));
  const { status, stderr } = spawnSync('scp', [
    ...bench.with('id'),
    '-P',
    String(bench.port),
    '-rp',
    join(bench.folder, 'rs'),
    `${bench.at}:/tmp/rs`,
  ]);
  if (status !== 0) throw new Error(String(stderr));
  await bench.sandbox.commands.run('chmod 755 /tmp/rs/rsync');
  return 'env LD_LIBRARY_PATH=/tmp/rs /tmp/rs/rsync';
}

test.skipIf(!existsSync('/usr/bin/rsync'))(
  'rsync of Debian copies in both directions, and only what has changed',
  async () => {
    const program = await installRsync();
    const rsync = (...args: readonly string[]) =>
      spawnSync(
        'rsync',
        ['-e', `ssh ${[...bench.with('id'), '-p', String(bench.port)].join(' ')}`, `--rsync-path=${program}`, ...args],
        {
          ...{ encoding: 'utf8', timeout: 30_000 },
        },
      );
    const local = join(bench.folder, 'sync');
    mkdirSync(join(local, 'ä b'), { recursive: true });
    const content = randomBytes(3_000_000);
    writeFileSync(join(local, 'ä b', 'big'), content);
    writeFileSync(join(local, 'run'), '#!/bin/sh\n');
    chmodSync(join(local, 'run'), 0o751);
    symlinkSync('run', join(local, 'link'));
    utimesSync(join(local, 'run'), 1_000_000_000, 1_000_000_000);
    expect(rsync('-a', `${local}/`, `${bench.at}:synced/`)).toMatchObject({ status: 0, stderr: '' });
    expect(
      bench.ssh(['@', "cd synced && stat -c '%a %Y' run && readlink link && sha256sum < 'ä b/big' | cut -c1-64"])
        .stdout,
    ).toBe(`751 1000000000\nrun\n${createHash('sha256').update(content).digest('hex')}\n`);
    content.write('changed', 1_000_000);
    writeFileSync(join(local, 'ä b', 'big'), Buffer.concat([content, Buffer.from('more')]));
    const second = rsync('-a', '--stats', '--delete', `${local}/`, `${bench.at}:synced/`);
    expect(Number(/Literal data: ([\d,]+)/.exec(second.stdout)?.[1]?.replaceAll(',', ''))).toBeLessThan(100_000);
    expect(rsync('-a', `${bench.at}:synced/`, join(bench.folder, 'back'))).toMatchObject({ status: 0, stderr: '' });
    expect(spawnSync('diff', ['-r', local, join(bench.folder, 'back')], { encoding: 'utf8' })).toMatchObject({
      status: 0,
      stdout: '',
    });
  },
);
