import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { removeTree } from '@soulbox/base';
import { runInProcess } from '../../testing/run-in-process.ts';
import { startScriptedApi } from '../../testing/scripted-api.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cli-create-'));
  await writeFile(join(folder, 'env'), '# of the tests\nA=file\nexport B="two words"\n');
  await writeFile(join(folder, 'mcp.json'), '{"github":{"token":"x"}}');
  await writeFile(join(folder, 'list.json'), '[]');
  await writeFile(join(folder, 'large'), 'A=1\n'.repeat(300_000));
});
afterAll(async () => await removeTree(folder));

const made = { status: 201, body: { sandboxID: 'i1' } };

test('variables, metadata, identities and MCP servers are sent; a value of this shell is not on the command line', async () => {
  await using api = await startScriptedApi([made]);
  const flags = [
    ...['--env-file', join(folder, 'env'), '--env', 'A=a=b', '--env', 'TOKEN', '--env', 'EMPTY='],
    ...['--metadata', 'user=ada', '--metadata', 'note=x y', '--identity', 'cloud=https://sts.example'],
    ...['--mcp', join(folder, 'mcp.json'), '--on-timeout', 'pause', '--auto-pause-disk-only'],
  ];
  const { code, stdout, stderr } = await runInProcess(['sandbox', 'create', ...flags], {
    ...api.environment,
    TOKEN: 'hush',
  });
  expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: 'i1\n', stderr: '' });
  expect(api.seen[0]?.body).toEqual({
    templateID: 'base',
    autoPause: true,
    autoPauseMemory: false,
    envVars: { A: 'a=b', B: 'two words', TOKEN: 'hush', EMPTY: '' },
    metadata: { user: 'ada', note: 'x y' },
    iam: { tokens: { cloud: { audience: 'https://sts.example' } } },
    mcp: { github: { token: 'x' } },
  });
});

test.each([
  [['--env', '=x'], /--env must be NAME=VALUE or NAME/],
  [['--env', 'NOT_SET_ANYWHERE'], /--env NOT_SET_ANYWHERE: this shell does not have/],
  [['--env-file', '/nowhere/env'], /--env-file \/nowhere\/env cannot be read/],
  [['--env-file', 'LARGE'], /larger than 1 MiB/],
  [['--env-file', '/dev/zero'], /--env-file \/dev\/zero is not a file/],
  [['--metadata', 'x'], /--metadata must be NAME=VALUE/],
  [['--volume', 'data'], /--volume must be NAME:PATH or NAME:PATH:ro/],
  [['--volume', 'data:relative'], /with an absolute path/],
  [['--volume', ':/data'], /--volume must be/],
  [['--bucket', 'data'], /--bucket must be NAME:PATH, NAME\/PREFIX:PATH/],
  [['--bucket', 'data/a:b'], /with an absolute path/],
  [['--bucket', '/a:/data'], /--bucket must be/],
  [['--mcp', 'LIST'], /is not a JSON object/],
  [['--mcp', 'ENV'], /is not a JSON object/],
])('create %j is refused before anything is sent', async (flags, message) => {
  const files: Record<string, string> = { LARGE: 'large', LIST: 'list.json', ENV: 'env' };
  const args = flags.map((word) => (files[word] === undefined ? word : join(folder, files[word])));
  const result = await runInProcess(['sandbox', 'create', ...args], { E2B_API_URL: 'http://127.0.0.1:1' });
  expect(result).toMatchObject({ code: 2, stdout: '' });
  expect(result.stderr).toMatch(message);
});

test('volumes are mounted at paths, and some of them read-only', async () => {
  await using api = await startScriptedApi([made]);
  const flags = ['--volume', 'data:/data:ro', '--volume', 'results:/a:b', '--volume', 'logs:/ro'];
  expect((await runInProcess(['sandbox', 'create', ...flags], api.environment)).code).toBe(0);
  expect(api.seen[0]?.body).toMatchObject({
    volumeMounts: [
      { name: 'data', path: '/data', readOnly: true },
      { name: 'results', path: '/a:b' },
      { name: 'logs', path: '/ro' },
    ],
  });
});

test('buckets are mounted at paths, whole or below a prefix, and some of them read-only', async () => {
  await using api = await startScriptedApi([made]);
  const flags = ['data:/data:ro', 'logs/2026/a:b/:/logs', 'c/:/c', 'd/p:/d:ro'].flatMap((text) => ['--bucket', text]);
  expect((await runInProcess(['sandbox', 'create', ...flags], api.environment)).code).toBe(0);
  expect((api.seen[0]?.body as { bucketMounts: unknown }).bucketMounts).toEqual([
    { name: 'data', path: '/data', readOnly: true },
    { name: 'logs', path: '/logs', prefix: '2026/a:b/' },
    { name: 'c', path: '/c' },
    { name: 'd', path: '/d', prefix: 'p', readOnly: true },
  ]);
});

test('a list is filtered by pairs of metadata and by template', async () => {
  await using api = await startScriptedApi([{ status: 200, body: [] }]);
  const filters = ['--metadata', 'user=a&b', '--metadata', 'note=x y', '--template', 'py'];
  expect((await runInProcess(['sandbox', 'list', ...filters], api.environment)).code).toBe(0);
  const query = new URL(api.seen[0]?.line.split(' ')[1] ?? '', 'http://x').searchParams;
  expect(query.get('template')).toBe('py');
  const pairs = [...new URLSearchParams(query.get('metadata') ?? '')];
  expect(pairs.map((pair) => pair.map(decodeURIComponent))).toEqual([
    ['user', 'a&b'],
    ['note', 'x y'],
  ]);
});

test('the timeout of a running sandbox is set, also to an earlier time', async () => {
  await using api = await startScriptedApi([{ status: 204 }]);
  const { stdout } = await runInProcess(['sandbox', 'timeout', 'i1', '60'], api.environment);
  expect(stdout).toBe('i1 reaches its timeout in 60 s.\n');
  expect(api.seen[0]).toMatchObject({ line: 'POST /sandboxes/i1/timeout', body: { timeout: 60 } });
  const refused = await runInProcess(['sandbox', 'timeout', 'i1', 'soon'], api.environment);
  expect(refused).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('SECONDS must be a whole number') as string,
  });
});
