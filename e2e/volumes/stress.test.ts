/** @module-tag violation */
/** @module-tag long */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, realpath } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { removeTree } from '@soulbox/base';
import { isThere } from '@soulbox/testing';
import {
  fioArguments,
  hasStressPrograms,
  passedOf,
  stressArguments,
  stressMs,
  stressors,
  stressPrograms,
} from '@soulbox/volumes/stress-programs';
import type { Sandbox } from 'e2b';
import { beforeAll, expect, test } from 'vitest';
import { needs } from '../harness/needs.ts';
import { useOwnTeam } from '../harness/own-team.ts';
import { mounting } from './mounting.ts';

// Programs that try file systems, in a sandbox, on its volume. `npm run test:storage` runs all stressors.
needs('volumes');

beforeAll(async () => {
  await useOwnTeam('stress');
});

/** For each stressor. Undefined: the short form. */
const seconds = process.env['SOULBOX_TEST_SECONDS'];
const some = ['rename', 'dir', 'flock', 'metamix', 'mmap', 'filerace', 'unlink', 'xattr'];
/** Those that need privileges on the host, or more memory than the sandbox has, are left out by stress-ng itself. */
const passedMin = 0.8;
const loader = '/lib64/ld-linux-x86-64.so.2';
const folder = '/opt/stress';

/** Copies the programs of the host into the sandbox, with the libraries and the loader that they need. */
async function install({ files, commands }: Sandbox): Promise<void> {
  const programs = Object.values(stressPrograms);
  const listed = await Promise.all(programs.map(async (path) => await promisify(execFile)('ldd', [path])));
  const names = new Set(listed.flatMap(({ stdout }) => stdout.match(/\/\S+\.so\S*/g) ?? []));
  const local = await mkdtemp(join(tmpdir(), 'soulbox-stress-'));
  try {
    const archive = join(local, 'programs.tar.gz');
    // Links are followed, so that each has the name by which it is looked for.
    const paths = await Promise.all(
      [...names, ...programs].map(async (path) => join(await realpath(dirname(path)), basename(path))),
    );
    await promisify(execFile)('tar', ['-chzf', archive, '--transform', 's|.*/||', '-P', ...new Set(paths)]);
    await files.write('/tmp/programs.tar.gz', new Blob([await readFile(archive)]));
  } finally {
    await removeTree(local);
  }
  await commands.run(`mkdir ${folder} && tar -xzf /tmp/programs.tar.gz -C ${folder}`, { user: 'root' });
}

const commandOf = (path: string, args: readonly string[]): string =>
  [`${folder}/${basename(loader)}`, '--library-path', folder, `${folder}/${basename(path)}`, ...args]
    .map((word) => `'${word}'`)
    .join(' ');

const isPossible = isThere('stress-ng and fio', hasStressPrograms() && process.arch === 'x64');

test.skipIf(!isPossible)(
  'programs that try file systems find no fault in the volume of a sandbox',
  { timeout: 3_600_000 },
  async () => {
    const sandbox = await mounting('stress');
    await install(sandbox);
    const names = seconds === undefined ? some : stressors;
    const options = { stressors: names, seconds: Number(seconds ?? 1) };
    await sandbox.commands.run('mkdir /data/work');
    const stress = commandOf(stressPrograms.stressNg, stressArguments('/data/work', options));
    // It exits with 3 if the file system lacks what a stressor needs.
    const { stdout } = await sandbox.commands.run(`cd /data/work && { ${stress} 2>&1 || [ $? = 3 ]; }`, {
      timeoutMs: stressMs(options),
    });
    expect(stdout).toMatch(/failed: 0/);
    console.log(`${passedOf(stdout)} of ${names.length} stressors passed in a sandbox`);
    expect(passedOf(stdout)).toBeGreaterThanOrEqual(names.length * passedMin);
    const fio = commandOf(stressPrograms.fio, fioArguments('/data/work', seconds === undefined ? 16 : 512));
    await sandbox.commands.run(`cd /data/work && ${fio}`, { timeoutMs: 600_000 });
    await sandbox.kill();
  },
);
