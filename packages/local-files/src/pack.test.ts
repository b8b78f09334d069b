import { execFile } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readdir, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { listProject } from './list-project.ts';
import { packFiles } from './pack.ts';

const run = promisify(execFile);
let root: string;
let out: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'local-files-'));
  out = await mkdtemp(join(tmpdir(), 'local-files-out-'));
});
afterEach(async () => {
  for (const folder of [root, out]) await rm(folder, { recursive: true });
});

const put = async (path: string, text = path): Promise<void> => {
  await mkdir(join(root, path, '..'), { recursive: true });
  await writeFile(join(root, path), text);
};

/** Packs, and lists what GNU tar unpacks: `TYPE MODE PATH TARGET-OR-SIZE`. */
async function packed(source: string, ignored: readonly string[] = []): Promise<string[]> {
  await using files = await packFiles(root, source, ignored);
  await writeFile(join(out, 'a.tar.gz'), new Uint8Array(await (await files.read()).arrayBuffer()));
  await run('tar', ['-xzpf', 'a.tar.gz'], { cwd: out });
  const { stdout: listed } = await run(
    'find',
    ['.', '-mindepth', '1', '!', '-name', 'a.tar.gz', '-printf', '%y %m %P %l%s\\n'],
    {
      cwd: out,
    },
  );
  return listed
    .trim()
    .split('\n')
    .map((line) =>
      line.startsWith('d') ? line.replace(/ \d+$/, '') : line.startsWith('l') ? line.replace(/\d+$/, '') : line,
    )
    .sort();
}

test('a folder is packed with modes, links, long names and empty folders', async () => {
  const long = `${'ä'.repeat(80)}/${'b'.repeat(120)}`;
  await put('app/run.sh', '#!/bin/sh\n');
  await chmod(join(root, 'app/run.sh'), 0o755);
  await put(`app/${long}`, 'x'.repeat(100_000));
  await mkdir(join(root, 'app/empty'));
  await symlink('../../etc/passwd', join(root, 'app/link'));
  await put('other');
  expect(await packed('app')).toEqual(
    [
      'd 755 app',
      `d 755 app/${'ä'.repeat(80)}`,
      'd 755 app/empty',
      `f 644 app/${long} 100000`,
      'f 755 app/run.sh 10',
      'l 777 app/link ../../etc/passwd',
    ].sort(),
  );
});

test('one file, and everything', async () => {
  await put('a/one', '1');
  await put('b', '2');
  expect(await packed('./a/one')).toEqual(['d 755 a', 'f 644 a/one 1']);
  expect(await packed('.')).toEqual(['d 755 a', 'f 644 a/one 1', 'f 644 b 1']);
});

test('what .dockerignore and the caller name is left out', async () => {
  for (const path of ['.dockerignore', 'a.log', 'sub/a.log', 'sub/keep.txt', 'node_modules/x', 'sub/node_modules/x'])
    await put(path, '');
  await writeFile(join(root, '.dockerignore'), '# comment\n*.log\n\n/node_modules\n**/keep.*\n!sub/keep.txt\n');
  expect(await packed('.', ['.dockerignore'])).toEqual([
    ...['d 755 sub', 'd 755 sub/node_modules', 'f 644 sub/a.log 0', 'f 644 sub/keep.txt 0'],
    'f 644 sub/node_modules/x 0',
  ]);
});

test('the hash follows from paths, modes and contents alone, and nothing is left behind', async () => {
  await put('app/a', '1');
  const hashOf = async (): Promise<string> => {
    await using files = await packFiles(root, 'app', []);
    return files.hash;
  };
  const first = await hashOf();
  expect(first).toMatch(/^[0-9a-f]{64}$/);
  await utimes(join(root, 'app/a'), 1, 1);
  expect(await hashOf()).toBe(first);
  await chmod(join(root, 'app/a'), 0o600);
  const second = await hashOf();
  await put('app/a', '2');
  expect(new Set([first, second, await hashOf()]).size).toBe(3);
  expect((await readdir(tmpdir())).filter((name) => name.startsWith('soulbox-build-'))).toEqual([]);
});

test.each([
  ['missing', /"missing" does not exist/],
  ['../x', /outside the folder/],
  ['/etc', /outside the folder/],
  ['*.txt', /is a pattern/],
  ['secret', /"secret" is ignored/],
])('%s is refused', async (source, message) => {
  await put('secret');
  await expect(packFiles(root, source, ['secret'])).rejects.toThrow(message);
});

test('a run has no links, and not what an installation makes', async () => {
  for (const path of ['main.py', 'lib/a.py', '.git/x', 'lib/node_modules/x', '.env']) await put(path);
  await symlink('/etc/passwd', join(root, 'lib/link'));
  expect((await listProject(root)).sort()).toEqual(['.env', 'lib/a.py', 'main.py']);
  await expect(listProject(join(root, 'missing'))).rejects.toThrow(/does not exist/);
});
