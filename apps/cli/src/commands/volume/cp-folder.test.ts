import { chmod, lstat, mkdir, mkdtemp, readFile, readlink, symlink, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { removeTree } from '@soulbox/base';
import { runCli } from '../../testing/run-cli.ts';
import { startScriptedApi } from '../../testing/scripted-api.ts';
import type { ScriptedAnswer } from '../../testing/scripted-api.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cli-volume-folders-'));
});
afterAll(async () => await removeTree(folder));

const time = '2026-01-02T00:00:00.000Z';
const entry = (path: string, more: object = {}): object => ({
  ...{ name: path.split('/').at(-1), path, type: 'file', size: 3, mode: 0o4640, uid: 5, gid: 6 },
  ...{ atime: time, mtime: time, ctime: time, ...more },
});
const ok = (body: object | string): ScriptedAnswer => ({ status: 200, body });
const directory = { type: 'directory', mode: 0o750 };
const missing = {
  ...{ status: 404, body: { code: 'file_not_found', message: 'The path does not exist.' } },
  headers: { 'x-soulbox-reason': 'file_not_found' },
};

test('a folder of a volume is copied with its modes, times and links', async () => {
  await using api = await startScriptedApi([
    ok(entry('/raw', directory)),
    ok([entry('/raw/sub', directory), entry('/raw/link', { type: 'symlink', target: '/etc/passwd' })]),
    ok([entry('/raw/sub/a')]),
    // Longer than it was in the list.
    ok('longer'),
  ]);
  const { code, stdout } = await runCli(['volume', 'cp', 'data:/raw', folder, '--json'], api.environment);
  expect([code, JSON.parse(stdout)]).toEqual([0, { files: 1, folders: 2, links: 1, skipped: 0, bytes: 6 }]);
  expect(await readFile(join(folder, 'raw/sub/a'), 'utf8')).toBe('longer');
  // Without set-user-id: the files come from sandboxes.
  const { mode, mtimeMs } = await lstat(join(folder, 'raw/sub/a'));
  expect([mode & 0o7777, mtimeMs]).toEqual([0o640, Date.parse(time)]);
  expect((await lstat(join(folder, 'raw/sub'))).mode & 0o7777).toBe(0o750);
  expect(await readlink(join(folder, 'raw/link'))).toBe('/etc/passwd');
  expect(api.seen.map(({ line }) => line)).toEqual([
    'GET /volumecontent/data/path?path=%2Fraw',
    'GET /volumecontent/data/dir?path=%2Fraw&depth=1',
    'GET /volumecontent/data/dir?path=%2Fraw%2Fsub&depth=1',
    'GET /volumecontent/data/file?path=%2Fraw%2Fsub%2Fa',
  ]);
});

test.each(['..', '../outside', '/outside', 'a/../../outside', '', 'a\0b'])(
  'a volume that names an entry %j does not write outside of the folder',
  async (name) => {
    const inside = await mkdtemp(join(folder, 'inside-'));
    await using api = await startScriptedApi([
      ok(entry('/raw', directory)),
      ok([entry('/raw/x', { name })]),
      ok('bad'),
    ]);
    const { code, stderr } = await runCli(['volume', 'cp', 'data:/raw/.', join(inside, 'to')], api.environment);
    expect([code === 0, stderr.length > 0]).toEqual([false, true]);
    expect([existsSync(join(inside, 'outside')), existsSync('/outside')]).toEqual([false, false]);
  },
);

test('no link that is in the destination is followed', async () => {
  const to = await mkdtemp(join(folder, 'to-'));
  const target = await mkdtemp(join(folder, 'target-'));
  await symlink(target, join(to, 'sub'));
  await using api = await startScriptedApi([
    ok(entry('/raw', directory)),
    ok([entry('/raw/sub', directory)]),
    ok([entry('/raw/sub/a')]),
    ok('bad'),
  ]);
  const { code, stderr } = await runCli(['volume', 'cp', 'data:/raw/.', to], api.environment);
  expect([code === 0, stderr]).toEqual([false, expect.stringContaining('a file or a link here')]);
  expect(existsSync(join(target, 'a'))).toBe(false);
});

test('a folder of this host is copied with its modes; links are left out and said', async () => {
  const source = join(folder, 'source');
  await mkdir(join(source, 'sub'), { recursive: true });
  await writeFile(join(source, 'sub/run.sh'), 'run');
  await chmod(join(source, 'sub/run.sh'), 0o755);
  await chmod(join(source, 'sub'), 0o700);
  await symlink('/etc/passwd', join(source, 'sub/link'));
  const made = { status: 201, body: entry('/x') };
  await using api = await startScriptedApi([missing, made, made, made]);
  const { code, stdout, stderr } = await runCli(['volume', 'cp', source, 'data:/to', '--json'], api.environment);
  expect([code, JSON.parse(stdout)]).toEqual([0, { files: 1, folders: 2, links: 0, skipped: 1, bytes: 3 }]);
  expect(stderr).toContain('1 links or devices were left out');
  const mode = (await lstat(source)).mode & 0o777;
  expect(api.seen.map(({ line }) => line)).toEqual([
    'GET /volumecontent/data/path?path=%2Fto',
    `POST /volumecontent/data/dir?path=%2Fto&force=true&mode=${mode}`,
    `POST /volumecontent/data/dir?path=%2Fto%2Fsub&force=true&mode=448`,
    `PUT /volumecontent/data/file?path=%2Fto%2Fsub%2Frun.sh&mode=493`,
  ]);
});

test('a folder goes into one that is there, and an error of one file ends the copy', async () => {
  const source = join(folder, 'whole');
  await mkdir(source);
  await writeFile(join(source, 'a'), 'a');
  const full = { status: 507, body: { code: 'disk_full', message: 'The volume is full.' } };
  await using api = await startScriptedApi([ok(entry('/to', directory)), { status: 201, body: {} }, full]);
  const { code, stderr } = await runCli(['volume', 'cp', source, 'data:/to'], api.environment);
  expect([code === 0, stderr]).toEqual([false, expect.stringContaining('The volume is full.')]);
  expect(api.seen.at(-1)?.line).toMatch(/^PUT .*path=%2Fto%2Fwhole%2Fa&/);
});

test('a folder is copied between volumes', async () => {
  const made = { status: 201, body: entry('/x') };
  await using api = await startScriptedApi([
    ok(entry('/', directory)),
    ok(entry('/to', directory)),
    made,
    ok([entry('/a', { mode: 0o600 })]),
    ok('abc'),
    made,
  ]);
  const { code } = await runCli(['volume', 'cp', 'one:', 'two:/to'], api.environment);
  expect([code, api.seen.at(-1)]).toMatchObject([
    0,
    { line: `PUT /volumecontent/two/file?path=%2Fto%2Fa&mode=384`, body: 'abc' },
  ]);
});
