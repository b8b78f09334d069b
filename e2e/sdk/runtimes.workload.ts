import { mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CommandError, removeTree, run } from '@soulbox/base';
import { nodeProgram } from '@soulbox/testing';
import { chromium } from 'playwright-core';
import { Sandbox } from 'soulbox';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { server } from '../harness/server.ts';

// `npm run test:sdk`: the packed SDK in the runtimes that CI does not have, and what is said about packages.
// Needs the npm registry.
const root = join(import.meta.dirname, '../..');
const tools = ['deno@2.9.6', 'publint@0.3.25', '@arethetypeswrong/cli@0.18.5'];
let folder: string;
let tarball: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'soulbox-sdk-runtimes-'));
  tarball = (await run(nodeProgram, [join(root, 'scripts/package-sdk.ts'), '--output', folder], { cwd: root })).trim();
  await writeFile(join(folder, 'package.json'), '{"type":"module"}');
  const options = { cwd: folder, timeoutMs: 170_000 };
  await run('npm', ['install', '--no-audit', '--no-fund', tarball, ...tools], options);
}, 180_000);
afterAll(async () => {
  await removeTree(folder);
});

/** The output of a program, whether or not it succeeds. */
const outputOf = async (program: string, args: readonly string[], cwd: string): Promise<string> =>
  await run(program, args, { cwd, timeoutMs: 60_000, env: { ...process.env, ...server.plain } }).catch(
    (error: unknown) => (error instanceof CommandError ? error.message : String(error)),
  );

test.each([
  [
    'Deno',
    'node_modules/.bin/deno',
    ['run', '--allow-net', '--allow-env', '--allow-read', '--allow-write', '--no-prompt'],
  ],
] as const)('the examples run on %s', { timeout: 60_000 }, async (_name, program, args) => {
  for (const [example, output] of [
    ['first-program', 'Hello from a sandbox\n'],
    ['attach', 'exit 0, 42 bytes in all\n'],
    ['errors', 'exit code 3, printed half\n'],
    ['fork', 'prepared once\nprepared once\n'],
    ['folder', 'from a folder, exit 0\n'],
  ] as const) {
    await writeFile(
      join(folder, `${example}.ts`),
      await readFile(join(root, 'packages/sdk/examples', `${example}.ts`)),
    );
    expect(await outputOf(program, [...args, `${example}.ts`], folder)).toBe(output);
  }
});

test('a page in Chromium works with one sandbox, without an API key', { timeout: 60_000 }, async () => {
  const bundle = await readFile(join(folder, 'node_modules/soulbox/dist/index.js'));
  const page = createServer((request, response) => {
    const isBundle = request.url === '/soulbox.js';
    response.setHeader('content-type', isBundle ? 'text/javascript' : 'text/html');
    response.end(isBundle ? bundle : '<!doctype html><title>page</title>');
  }).listen(0, '127.0.0.1');
  await using sandbox = await Sandbox.create({
    ...{ apiUrl: server.plain['E2B_API_URL'], apiKey: server.plain['E2B_API_KEY'] },
  });
  const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] });
  try {
    const tab = await browser.newPage({ ignoreHTTPSErrors: true });
    await tab.goto(`http://127.0.0.1:${(page.address() as AddressInfo).port}/`);
    const access = {
      ...{ sandboxId: sandbox.sandboxId, envdAccessToken: sandbox.envdAccessToken },
      sandboxDomain: server.tls['E2B_DOMAIN'],
    };
    const program = `(async (access) => {
      const { Sandbox } = await import('/soulbox.js');
      const sandbox = new Sandbox(access);
      await sandbox.files.write('page.txt', new Blob(['from a page']));
      const lines = [];
      const { stdout } = await sandbox.commands.run('cat page.txt; seq 1 20000 | tail -n 1', { onStdout: (text) => lines.push(text) });
      const failed = await sandbox.files.read('/nothing').catch((error) => error.reason);
      let typed = '';
      const pty = await sandbox.pty.create({ cols: 80, rows: 24, onData: (data) => { typed += new TextDecoder().decode(data); } });
      await sandbox.pty.sendInput(pty.pid, 'exit\\n');
      await pty.wait();
      return [stdout, failed, lines.join('') === stdout, typed.includes('exit')];
    })(${JSON.stringify(access)})`;
    expect(await tab.evaluate(program)).toEqual(['from a page20000\n', 'file_not_found', true, true]);
  } finally {
    await browser.close();
    page.close();
  }
});

test('its types need nothing but themselves', { timeout: 60_000 }, async () => {
  await mkdir(join(folder, 'typed'));
  const program = `import { Sandbox, SoulBoxError } from 'soulbox';
    const sandbox: Sandbox = await Sandbox.create('base', { timeoutMs: 1000 });
    const text: string = await sandbox.files.read('x');
    const bytes: Uint8Array = await sandbox.files.read('x', { format: 'bytes' });
    // @ts-expect-error: it is a string.
    const wrong: number = (await sandbox.commands.run('x')).stdout;
    for await (const event of sandbox.process.attach('id', 5)) if (event.type === 'output') void event.data.length;
    export const all = [text, bytes, wrong, new SoulBoxError('x', { code: 'internal', reason: 'y' })];`;
  await writeFile(join(folder, 'typed/main.ts'), program);
  const compilerOptions = {
    ...{
      strict: true,
      noEmit: true,
      target: 'es2022',
      module: 'nodenext',
      types: [],
      exactOptionalPropertyTypes: true,
    },
    lib: ['es2022', 'dom', 'dom.iterable', 'dom.asynciterable', 'esnext.disposable'],
  };
  await writeFile(join(folder, 'typed/tsconfig.json'), JSON.stringify({ compilerOptions }));
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  expect(await outputOf(nodeProgram, [tsc, '-p', join(folder, 'typed')], folder)).toBe('');
});

test('publint and attw find no fault', { timeout: 60_000 }, async () => {
  expect(await outputOf('node_modules/.bin/publint', ['run', '--strict', 'node_modules/soulbox'], folder)).toContain(
    'All good',
  );
  // It fails for what it finds.
  const types = await run('node_modules/.bin/attw', ['--profile', 'esm-only', '--no-color', tarball], { cwd: folder });
  expect(types).toContain('soulbox v0.1.0');
});
