import { mkdtemp, readdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { removeTree, run } from '@soulbox/base';
import { nodeProgram } from '@soulbox/testing';
import { build } from 'esbuild';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { server } from '../harness/server.ts';

// What a user gets: the packed SDK, installed in an empty folder without a network, with the examples as programs.
const root = join(import.meta.dirname, '../..');
const examples = join(root, 'packages/sdk/examples');
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'soulbox-packed-sdk-'));
  const script = [join(root, 'scripts/package-sdk.ts'), '--output', folder];
  const tarball = (await run(nodeProgram, script, { cwd: root })).trim();
  await writeFile(join(folder, 'package.json'), '{"type":"module"}');
  const options = ['--offline', '--no-audit', '--no-fund', '--ignore-scripts', '--cache', join(folder, 'cache')];
  await run('npm', ['install', ...options, tarball], { cwd: folder, timeoutMs: 60_000 });
  // Node 20 knows neither types nor `await using`.
  const entryPoints = (await readdir(examples)).map((name) => join(examples, name));
  await build({ entryPoints, outdir: folder, format: 'esm', target: 'node20', outExtension: { '.js': '.mjs' } });
}, 120_000);
afterAll(async () => {
  await removeTree(folder);
});

const bun = join(root, 'node_modules/.bin/bun');
const runtimes: readonly (readonly [name: string, version: string, program: string, examples: readonly string[]])[] = [
  ['Node 24', 'v24', nodeProgram, ['first-program', 'attach', 'errors', 'fork', 'folder']],
  ['Node 20', 'v20', '/usr/bin/node', ['first-program', 'attach', 'errors', 'folder']],
  ['Bun', '1.', bun, ['first-program', 'attach', 'errors', 'folder']],
];
const outputs: Readonly<Record<string, string>> = {
  'first-program': 'Hello from a sandbox\n',
  attach: 'exit 0, 42 bytes in all\n',
  errors: 'exit code 3, printed half\n',
  fork: 'prepared once\nprepared once\n',
  folder: 'from a folder, exit 0\n',
};

test('each example has its expected output here', async () => {
  const names = (await readdir(examples)).map((name) => name.replace(/\.ts$/, ''));
  expect(names.sort()).toEqual(Object.keys(outputs).sort());
});

test.each(runtimes)('the examples run on %s', async (_name, version, program, names) => {
  expect(await run(program, ['--version'])).toContain(version);
  const printed = await Promise.all(
    names.map(async (example) => {
      const env = { ...server.plain, PATH: '/usr/bin:/bin' };
      return [example, await run(program, [join(folder, `${example}.mjs`)], { env, timeoutMs: 60_000 })];
    }),
  );
  expect(printed).toEqual(names.map((example) => [example, outputs[example]]));
});

test('a browser loads at most 60 kB of it', async () => {
  const entry = join(folder, 'node_modules/soulbox/dist/index.js');
  const { outputFiles } = await build({
    ...{ entryPoints: [entry], bundle: true, minify: true, platform: 'browser', format: 'esm', write: false },
  });
  expect(gzipSync(outputFiles[0]?.contents ?? '').length).toBeLessThan(60_000);
});
