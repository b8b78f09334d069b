import { mkdtemp, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { removeTree } from '@soulbox/base';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { runCli } from '../../testing/run-cli.ts';
import { startScriptedApi } from '../../testing/scripted-api.ts';
import type { ScriptedApi } from '../../testing/scripted-api.ts';

let folder: string;
let file: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'soulbox-download-'));
  file = join(folder, 'x.soulbox');
});
afterEach(async () => await removeTree(folder));

const download = async (api: ScriptedApi, ...more: string[]) =>
  await runCli(['snapshot', 'export', 's1', '--output', file, ...more], api.environment);
const whole = { status: 200, body: 'the file' };

test('a file that exists is kept, and nothing is exported, unless it is to be replaced', async () => {
  await using api = await startScriptedApi([whole]);
  await writeFile(file, 'old');
  const { code, stderr } = await download(api);
  expect([code, stderr]).toEqual([1, expect.stringContaining('--force')]);
  expect([api.seen, await readFile(file, 'utf8')]).toEqual([[], 'old']);
  expect(await download(api, '--force')).toMatchObject({ code: 0, stdout: `${file}\n` });
  expect([await readFile(file, 'utf8'), (await stat(file)).mode & 0o777]).toEqual(['the file', 0o600]);
  expect(await readdir(folder)).toEqual(['x.soulbox']);
});

test('an export that fails is not repeated, because each saves the sandbox, and leaves nothing', async () => {
  await using api = await startScriptedApi([{ status: 503, body: { code: 503, message: 'stopping' } }, whole]);
  const { code, stderr } = await download(api);
  expect([code, stderr]).toEqual([1, expect.stringContaining('stopping')]);
  expect(api.seen).toHaveLength(1);
  expect(await readdir(folder)).toEqual([]);
});

test('a folder that does not exist is an error before anything is exported', async () => {
  await using api = await startScriptedApi([whole]);
  file = join(folder, 'none/x.soulbox');
  const { code, stderr } = await download(api);
  expect([code, stderr]).toEqual([1, expect.stringContaining('cannot be written (ENOENT)')]);
  expect(api.seen).toEqual([]);
});
