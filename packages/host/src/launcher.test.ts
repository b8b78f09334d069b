import { mkdir, mkdtemp, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { removeTree, run } from '@soulbox/base';
import { installLauncher, isOurLauncher } from './launcher.ts';

let directory: string;
let path: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'soulbox-launcher-'));
  path = join(directory, 'soulbox');
});
afterEach(async () => await removeTree(directory));

/** Creates a folder in the form of a clone, whose program prints its arguments. */
async function makeClone(name: string): Promise<string> {
  const clone = join(directory, name);
  await mkdir(join(clone, 'node_modules/node/bin'), { recursive: true });
  await symlink(process.execPath, join(clone, 'node_modules/node/bin/node'));
  const main = join(clone, 'apps/cli/src/main.ts');
  await mkdir(dirname(main), { recursive: true });
  await writeFile(main, `console.log(${JSON.stringify(name)}, ...process.argv.slice(2))`);
  return clone;
}

test('a launcher runs the program of its clone from any folder, with its arguments', async () => {
  const clone = await makeClone("it's a clone");
  expect(await installLauncher(clone, path)).toBe('installed');
  expect(await installLauncher(clone, path)).toBe('present');
  expect((await stat(path)).mode & 0o777).toBe(0o755);
  expect(await run(path, ['a b', '$HOME'], { cwd: '/', env: {} })).toBe("it's a clone a b $HOME\n");
  expect(await isOurLauncher(path)).toBe(true);
});

test('a foreign file is left alone, and so is a launcher of another clone until that clone is gone', async () => {
  await writeFile(path, '#!/bin/sh\necho theirs\n');
  const [one, other] = [await makeClone('one'), await makeClone('other')];
  expect(await installLauncher(one, path)).toBe('foreign');
  expect([await readFile(path, 'utf8'), await isOurLauncher(path)]).toEqual(['#!/bin/sh\necho theirs\n', false]);
  await removeTree(path);
  await installLauncher(one, path);
  expect(await installLauncher(other, path)).toBe('other-clone');
  expect(await run(path, [])).toBe('one\n');
  await removeTree(one);
  expect(await installLauncher(other, path)).toBe('installed');
  expect(await run(path, [])).toBe('other\n');
});
