import { mkdtemp, readFile, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { removeTree } from '@soulbox/base';
import { runCli } from '../../testing/run-cli.ts';
import type { CliResult } from '../../testing/run-cli.ts';
import { startScriptedApi } from '../../testing/scripted-api.ts';
import type { ScriptedApi } from '../../testing/scripted-api.ts';

let home: string;
let file: string;
const cli = async (args: string[], more: Record<string, string> = {}): Promise<CliResult> =>
  await runCli(args, { HOME: home, ...more });
const urlOf = (api: ScriptedApi): string => api.environment['E2B_API_URL'] ?? '';
const keyOf = (name: string): string => `e2b_key_of_${name}`;

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'cli-context-'));
  file = join(home, '.config/soulbox/contexts.json');
});
afterEach(async () => await removeTree(home));

async function create(name: string, api: ScriptedApi, ...more: string[]): Promise<CliResult> {
  await writeFile(join(home, 'key'), `${keyOf(name)}\n`);
  return await cli(['context', 'create', name, '--url', urlOf(api), '--key-file', join(home, 'key'), ...more]);
}

test('a context is chosen by its flag, by a variable, or for all commands, and its key is never printed', async () => {
  const answers = Array.from({ length: 4 }, () => ({ status: 200, body: [] }));
  await using blue = await startScriptedApi(answers);
  await using red = await startScriptedApi(answers);
  expect((await create('blue', blue)).stdout).toBe('Created the context blue. Commands use it.\n');
  expect((await create('red', red)).stdout).toBe('Created the context red.\n');
  expect((await stat(file)).mode & 0o777).toBe(0o600);

  await cli(['secret', 'list']);
  expect(blue.seen.at(-1)).toMatchObject({ line: 'GET /secrets', key: keyOf('blue') });
  await cli(['secret', 'list', '--context', 'red']);
  expect(red.seen.at(-1)).toMatchObject({ key: keyOf('red') });
  await cli(['secret', 'list', '--context=red'], { SOULBOX_CONTEXT: 'blue', ...blue.environment });
  expect(red.seen).toHaveLength(2);
  await cli(['secret', 'list'], { SOULBOX_CONTEXT: 'red', ...blue.environment });
  expect(red.seen).toHaveLength(3);
  const nameless = await cli(['secret', 'list', '--context', '']);
  expect([nameless.code, nameless.stderr]).toEqual([2, expect.stringContaining('--context must name a context')]);
  // The variables of E2B come before the context in use.
  await cli(['secret', 'list'], { ...blue.environment });
  expect(blue.seen.at(-1)).toMatchObject({ key: 'e2b_test' });
  await cli(['context', 'use', 'red']);
  await cli(['secret', 'list']);
  expect(red.seen).toHaveLength(4);

  const shown = [
    await cli(['context', 'list']),
    await cli(['context', 'show', '--json']),
    await cli(['context', 'list', '--json']),
  ];
  expect(shown.map(({ stdout }) => stdout).join()).not.toContain('key');
  expect(shown[0]?.stdout).toMatch(/^\* +red/m);
  await cli(['context', 'delete', 'red']);
  expect((await cli(['secret', 'list', '--data-dir', home])).stderr).toContain('No server is running');
  expect((await cli(['context', 'show'])).stderr).toContain('No context is in use');
}, 60_000);

test('bad input is refused', async () => {
  await using api = await startScriptedApi([]);
  await create('a', api);
  for (const [args, told] of [
    [['secret', 'list', '--context', 'b'], 'There is no context "b". There are: a.'],
    [['secret', 'list', '--context', 'a', '--data-dir', home], 'both name a server'],
    [['context', 'create', '../x', '--url', urlOf(api)], 'NAME must have'],
    [['context', 'create', 'b', '--url', 'ftp://x'], '--url must be'],
    [['context', 'create', 'b', '--url', 'http://user:pass@x'], 'no password'],
    [['context', 'create', 'b', '--url', urlOf(api)], 'not an API key'],
    [['context', 'create', 'a', '--url', urlOf(api)], 'Use --force'],
    [['context', 'use'], 'NAME or --none'],
    [['up', '--context', 'a'], "Unknown option '--context'"],
  ] as const)
    expect((await cli([...args])).stderr, args.join(' ')).toContain(told);
  const text = await readFile(file, 'utf8');
  for (const broken of [text.slice(0, 20), '{}', 'null', '{"contexts":{"a":{}}}']) {
    await writeFile(file, broken);
    expect((await cli(['context', 'list'])).stderr, broken).toContain('create the contexts again');
  }
}, 60_000);
