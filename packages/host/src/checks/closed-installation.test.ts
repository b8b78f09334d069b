import { chmod, mkdir, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { removeTree } from '@soulbox/base';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { checkClosedInstallation, findClosedFolder, judgeClosedInstallation } from './closed-installation.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'closed-installation-'));
  await chmod(folder, 0o755);
  await mkdir(join(folder, 'prefix/lib/code'), { recursive: true, mode: 0o755 });
});
afterEach(async () => await removeTree(folder));

const found = async (): Promise<string | undefined> => await findClosedFolder(join(folder, 'prefix/lib/code'));

test('an installation whose folders other users may enter is open, also if they may not list them', async () => {
  await chmod(join(folder, 'prefix'), 0o711);
  expect(await found()).toBeUndefined();
});

test.for(['prefix', 'prefix/lib', 'prefix/lib/code'])('the closed folder %s is named', async (path) => {
  await chmod(join(folder, path), 0o700);
  expect(await found()).toBe(join(folder, path));
});

test('of several closed folders the outermost one is named', async () => {
  await chmod(join(folder, 'prefix/lib'), 0o700);
  await chmod(join(folder, 'prefix'), 0o750);
  expect(await found()).toBe(join(folder, 'prefix'));
});

test('a closed folder is a warning that says what does not work and what to do', async () => {
  const { status, detail, fix } = judgeClosedInstallation('/root');
  expect([status, detail, fix?.debian]).toEqual([
    'warn',
    expect.stringMatching(/buckets cannot be used: other users cannot enter [/]root/),
    expect.stringContaining('--prefix'),
  ]);
  expect(judgeClosedInstallation(undefined)).toMatchObject({ status: 'ok' });
  // Of this installation, whatever it is.
  expect(await checkClosedInstallation({ dataDirectory: '/not/there' })).toMatchObject({ id: 'closed-installation' });
});
