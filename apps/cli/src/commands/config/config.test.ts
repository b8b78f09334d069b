import { mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { removeTree } from '@soulbox/base';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { runCli } from '../../testing/run-cli.ts';
import type { CliResult } from '../../testing/run-cli.ts';
import { startScriptedApi } from '../../testing/scripted-api.ts';

let home: string;
const cli = async (args: string[], more: Record<string, string> = {}): Promise<CliResult> =>
  await runCli(args, { HOME: home, ...more });
const fileOf = (): string => join(home, '.config/soulbox/config.json');

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'cli-config-'));
});
afterEach(async () => await removeTree(home));

test('a setting is set, read with its source, and unset; a variable comes before it', async () => {
  expect((await cli(['config', 'path'])).stdout).toBe(`${fileOf()}\n`);
  expect((await cli(['config', 'set', 'retry-attempts', '7'])).stdout).toBe('retry-attempts is 7.\n');
  expect(JSON.parse(await readFile(fileOf(), 'utf8'))).toEqual({ 'retry-attempts': '7' });
  expect((await cli(['config', 'get', 'retry-attempts'])).stdout).toBe('7\n');
  const overridden = await cli(['config', 'set', 'retry-attempts', '8'], { SOULBOX_RETRY_ATTEMPTS: '2' });
  expect(overridden.stderr).toBe('The variable SOULBOX_RETRY_ATTEMPTS comes before it.\n');
  const got = await cli(['config', 'get', 'retry-attempts', '--json'], { SOULBOX_RETRY_ATTEMPTS: '2' });
  expect(JSON.parse(got.stdout)).toEqual({ name: 'retry-attempts', value: '2', source: 'SOULBOX_RETRY_ATTEMPTS' });
  await cli(['config', 'unset', 'retry-attempts']);
  expect((await cli(['config', 'get', 'retry-attempts'])).stdout).toBe('3\n');
}, 60_000);

test('the list names the server and where the key comes from, and never the key', async () => {
  await using api = await startScriptedApi([]);
  const listed = await cli(['config', 'list'], { ...api.environment, NO_COLOR: '1' });
  expect(listed.stdout).toMatch(/^server +http:\/\/127\.0\.0\.1:\d+ +E2B_API_URL/m);
  expect(listed.stdout).toMatch(/^key +set +E2B_API_URL/m);
  expect(listed.stdout).toMatch(/^color +never +NO_COLOR/m);
  expect(listed.stdout).not.toContain(api.environment['E2B_API_KEY']);
  expect((await cli(['config', 'list', '--data-dir', home])).stdout).toMatch(/^server +none/m);
}, 60_000);

test('with json as the output, commands and errors print JSON, and the variable says otherwise', async () => {
  await using api = await startScriptedApi(Array.from({ length: 3 }, () => ({ status: 200, body: [] })));
  await cli(['config', 'set', 'output', 'json']);
  expect((await cli(['secret', 'list'], api.environment)).stdout).toBe('[]\n');
  expect((await cli(['secret', 'list'], { ...api.environment, SOULBOX_OUTPUT: 'text' })).stdout).toMatch(/^ID +NAME/);
  const failed = await cli(['secret', 'list', '--context', 'x']);
  expect(JSON.parse(failed.stderr)).toMatchObject({ error: { reason: 'config_invalid' } });
}, 60_000);

test('bad input is refused, and a damaged file is named', async () => {
  for (const [args, told] of [
    [['config', 'set', 'colour', 'never'], 'There is no setting "colour". There are: output, color,'],
    [['config', 'set', '__proto__', 'x'], 'There is no setting'],
    [['config', 'set', 'color', 'blue'], 'color must be auto or always or never, not "blue".'],
    [['config', 'set', 'retry-attempts', '0'], 'a whole number from 1 to 20'],
    [['config', 'set', 'editor', 'a\nb'], 'editor must be a command'],
    [['config', 'set', 'color'], 'Missing argument VALUE'],
  ] as const) {
    const { code, stderr } = await cli([...args]);
    expect([code, stderr], args.join(' ')).toEqual([2, expect.stringContaining(told)]);
  }
  await mkdir(join(home, '.config/soulbox'), { recursive: true });
  for (const [text, told] of [
    ['{', 'it is not JSON'],
    ['[]', 'it is not an object'],
    ['{"colour":"never"}', 'there is no setting "colour"'],
    ['{"color":1}', 'color must be auto or always or never'],
  ] as const) {
    await writeFile(fileOf(), text);
    expect((await cli(['config', 'list'])).stderr, text).toContain(told);
    expect((await cli(['config', 'path'])).code).toBe(1);
  }
}, 60_000);
