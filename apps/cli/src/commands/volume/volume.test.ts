import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { removeTree } from '@soulbox/base';
import { runCli } from '../../testing/run-cli.ts';
import { startScriptedApi } from '../../testing/scripted-api.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cli-volume-'));
});
afterAll(async () => await removeTree(folder));

const volume = {
  ...{ volumeID: 'v1', name: 'data', sizeMb: 5, from: null, readOnly: false },
  ...{ createdAt: '2026-01-01T00:00:00.000Z', token: 'sbv_secret' },
};
const time = '2026-01-02T00:00:00.000Z';
const entry = (path: string, more: object = {}) => ({
  ...{ name: path.split('/').at(-1), path, type: 'file', size: 3, mode: 0o640, uid: 5, gid: 6 },
  ...{ atime: time, mtime: time, ctime: time, ...more },
});
const missing = {
  ...{ status: 404, body: { code: 'file_not_found', message: 'The path does not exist.' } },
  headers: { 'x-soulbox-reason': 'file_not_found' },
};

test('volumes are created, listed and deleted, and their tokens are not printed', async () => {
  await using api = await startScriptedApi([
    ...[volume, volume].map((body) => ({ status: 201, body })),
    { status: 200, body: [volume, { ...volume, volumeID: 'v2', sizeMb: null, from: 'v1', readOnly: true }] },
    { status: 204 },
  ]);
  const made = await runCli(['volume', 'create', 'data', '--size-mb', '5'], api.environment);
  expect(made.stdout).toBe('v1\n');
  const json = await runCli(['volume', 'create', 'data', '--json'], api.environment);
  expect(JSON.parse(json.stdout)).toMatchObject({ volumeID: 'v1', sizeMb: 5 });
  expect(json.stdout).not.toContain('sbv_');
  const listed = await runCli(['volume', 'list'], api.environment);
  expect(listed.stdout).toMatch(/v1 +data +5 +- .*\nv2 +data +- +v1 \(read-only\) /);
  expect((await runCli(['volume', 'delete', 'data'], api.environment)).stdout).toBe('Deleted data.\n');
  expect(api.seen).toMatchObject([
    { line: 'POST /volumes', body: { name: 'data', sizeMb: 5 } },
    { line: 'POST /volumes', body: { name: 'data' } },
    { line: 'GET /volumes' },
    { line: 'DELETE /volumes/data' },
  ]);
});

test('volumes are copied as clones and snapshots', async () => {
  const copy = { ...volume, volumeID: 'v2', name: 'trial', from: 'v1' };
  await using api = await startScriptedApi([copy, { ...copy, readOnly: true }].map((body) => ({ status: 201, body })));
  expect((await runCli(['volume', 'clone', 'data', 'trial', '--size-mb', '9'], api.environment)).stdout).toBe('v2\n');
  const json = await runCli(['volume', 'snapshot', 'data', 'trial', '--json'], api.environment);
  expect(JSON.parse(json.stdout)).toMatchObject({ volumeID: 'v2', from: 'v1', readOnly: true });
  expect(json.stdout).not.toContain('sbv_');
  expect(api.seen).toMatchObject([
    { line: 'POST /volumes', body: { name: 'trial', from: 'data', sizeMb: 9 } },
    { line: 'POST /volumes', body: { name: 'trial', from: 'data', readOnly: true } },
  ]);
});

test('files are moved within their volume, and its usage is printed', async () => {
  await using api = await startScriptedApi([
    ...[1, 2].map(() => ({ status: 200, body: entry('/b') })),
    ...[null, 5].map((sizeMb) => ({ status: 200, body: { bytes: 3_000_000, entries: 7, sizeMb } })),
  ]);
  const move = async (...args: string[]) => await runCli(['volume', 'mv', ...args], api.environment);
  expect((await move('data:/a', '/b')).stdout).toBe('Moved data:/a to data:/b.\n');
  expect(JSON.parse((await move('data:/a', 'data:/b', '--keep', '--json')).stdout)).toMatchObject({ path: '/b' });
  const other = await move('data:/a', 'other:/b');
  expect([other.code, other.stderr]).toEqual([2, expect.stringContaining('soulbox volume cp')]);
  expect((await runCli(['volume', 'usage', 'data'], api.environment)).stdout).toBe('2.9 MiB, 7 entries\n');
  expect((await runCli(['volume', 'usage', 'data'], api.environment)).stdout).toBe('2.9 of 5 MiB, 7 entries\n');
  expect(api.seen.map(({ line }) => line)).toEqual([
    'POST /volumecontent/data/rename?path=%2Fa&to=%2Fb',
    'POST /volumecontent/data/rename?path=%2Fa&to=%2Fb&force=false',
    'GET /volumes/data/usage',
    'GET /volumes/data/usage',
  ]);
});

test('folders are listed, files printed and removed', async () => {
  await using api = await startScriptedApi([
    { status: 200, body: [entry('/b/\u001b[31m'), entry('/b/a', { type: 'directory', mode: 0o755 })] },
    { status: 200, body: 'bytes' },
    { status: 204 },
  ]);
  const listed = await runCli(['volume', 'ls', 'data:/b', '--depth', '2'], api.environment);
  expect(listed.stdout).toMatch(/-0640 +5:6 +3 +2026-01-02T00:00:00.000Z +\/b\/\\u001b\[31m\nd0755 .* \/b\/a/);
  expect((await runCli(['volume', 'cat', 'data:a b'], api.environment)).stdout).toBe('bytes');
  expect((await runCli(['volume', 'rm', 'data:/b'], api.environment)).stdout).toBe('Removed data:/b.\n');
  expect(api.seen.map(({ line }) => line)).toEqual([
    'GET /volumecontent/data/dir?path=%2Fb&depth=2',
    'GET /volumecontent/data/file?path=a+b',
    'DELETE /volumecontent/data/path?path=%2Fb',
  ]);
});

test('files are copied in both directions, into folders under their names', async () => {
  const source = join(folder, 'points.csv');
  await writeFile(source, 'x,y');
  await using api = await startScriptedApi([
    missing,
    { status: 201, body: entry('/raw.csv') },
    { status: 200, body: entry('/raw', { type: 'directory' }) },
    { status: 201, body: entry('/raw/points.csv') },
    { status: 200, body: entry('/raw/points.csv') },
    { status: 200, body: 'back' },
    { status: 200, body: 'back' },
    { status: 200, body: entry('/raw/points.csv') },
    { status: 200, body: 'back' },
  ]);
  const copy = async (...args: string[]) => await runCli(['volume', 'cp', ...args], api.environment);
  await copy(source, 'data:/raw.csv');
  const into = await copy(source, 'data:/raw', '--json');
  expect(JSON.parse(into.stdout)).toEqual({ path: '/raw/points.csv', bytes: 3 });
  const target = join(folder, 'back.csv');
  await copy('data:/raw/points.csv', target);
  expect(await readFile(target, 'utf8')).toBe('back');
  expect((await copy('data:/raw/points.csv', '-')).stdout).toBe('back');
  // The file is there already.
  const kept = await copy('data:/raw/points.csv', folder);
  expect([kept.code === 0, kept.stderr]).toEqual([false, expect.stringContaining('points.csv exists')]);
  expect(await readFile(source, 'utf8')).toBe('x,y');
  expect(api.seen).toMatchObject([
    { line: 'GET /volumecontent/data/path?path=%2Fraw.csv' },
    { line: 'PUT /volumecontent/data/file?path=%2Fraw.csv', body: 'x,y' },
    { line: 'GET /volumecontent/data/path?path=%2Fraw' },
    { line: 'PUT /volumecontent/data/file?path=%2Fraw%2Fpoints.csv', body: 'x,y' },
    { line: 'GET /volumecontent/data/path?path=%2Fraw%2Fpoints.csv' },
    { line: 'GET /volumecontent/data/file?path=%2Fraw%2Fpoints.csv' },
    { line: 'GET /volumecontent/data/file?path=%2Fraw%2Fpoints.csv' },
    { line: 'GET /volumecontent/data/path?path=%2Fraw%2Fpoints.csv' },
  ]);
});

test.each([
  ['two paths of this host', ['cp', 'a', 'b']],
  ['standard input into a folder', ['cp', '-', 'data:/x/']],
  ['a path without a volume', ['ls', '/x']],
])('%s are refused without a call', async (_what, args) => {
  await using api = await startScriptedApi([]);
  const { code, stderr } = await runCli(['volume', ...args], api.environment);
  expect([code, stderr.length > 0, api.seen.length]).toEqual([2, true, 0]);
});
