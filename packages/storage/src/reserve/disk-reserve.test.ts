import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { mkdtemp, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { removeTree } from '@soulbox/base';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openDiskReserve } from './disk-reserve.ts';

let folder: string;
let directory: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'reserve-'));
  directory = join(folder, 'reserve');
});
afterEach(async () => await removeTree(folder));

/** Releases a piece for each of the given number of steps that find no space the first time. */
const spendAll = `
const { openDiskReserve } = await import(process.argv[1]);
const reserve = openDiskReserve(process.argv[2]);
process.stdout.write('ready');
process.stdin.once('data', () => {
  let failed = 0;
  for (let step = 0; step < 8; step += 1) {
    let tries = 0;
    try {
      reserve.spendSync(() => {
        tries += 1;
        if (tries === 1) throw Object.assign(new Error('full'), { code: 'ENOSPC' });
      });
    } catch { failed += 1; }
  }
  process.stdout.write(String(failed));
  process.exit();
});`;

test('two processes that need space at the same moment get different pieces', async () => {
  await openDiskReserve(directory).restore();
  const module = join(import.meta.dirname, 'disk-reserve.ts');
  const children = [0, 1].map(() =>
    spawn(process.execPath, ['--input-type=module', '-e', spendAll, module, directory]),
  );
  await Promise.all(children.map((child) => once(child.stdout, 'data')));
  const answers = Promise.all(children.map(async (child) => String((await once(child.stdout, 'data'))[0])));
  for (const child of children) child.stdin.write('go');
  expect(await answers).toEqual(['0', '0']);
  expect(await readdir(directory)).toEqual([]);
});

test('a file that somebody has put in the place of a new piece is not written through', async () => {
  const reserve = openDiskReserve(directory);
  await reserve.restore();
  reserve.spendSync(firstFails());
  const [missing = ''] = Array.from({ length: 16 }, (_, number) => String(number)).filter(
    (name) => !readdirSync(directory).includes(name),
  );
  const foreign = join(folder, 'foreign');
  await writeFile(foreign, 'untouched');
  await symlink(foreign, join(directory, `${missing}.new`));
  await reserve.restore();
  expect(await readFile(foreign, 'utf8')).toBe('untouched');
  expect(reserve.heldBytes()).toBe(64 * 1024 * 1024);
});

function firstFails(): () => void {
  let tries = 0;
  return () => {
    tries += 1;
    if (tries === 1) throw Object.assign(new Error('full'), { code: 'ENOSPC' });
  };
}
