import { spawnSync } from 'node:child_process';
import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { removeTree } from '@soulbox/base';
import { afterEach, beforeEach, expect, test } from 'vitest';

const root = join(import.meta.dirname, '..');
let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'soulbox-failures-'));
});

afterEach(async () => {
  await removeTree(folder);
});

/** Runs these test files. Returns the exit code and the lines that the reporter has written. */
async function report(files: Readonly<Record<string, string>>): Promise<{ code: number | null; lines: string[] }> {
  const output = join(folder, 'failures.txt');
  for (const [name, content] of Object.entries(files)) await writeFile(join(folder, `${name}.test.mjs`), content);
  const reporter = `--reporter=${join(root, 'scripts/failure-reporter.ts')}`;
  const args = ['run', '--globals', `--root=${folder}`, reporter, `--outputFile.failures=${output}`];
  const { status } = spawnSync(process.execPath, [join(root, 'node_modules/vitest/vitest.mjs'), ...args], {
    ...{ cwd: folder, timeout: 60_000, stdio: 'ignore' },
    env: { PATH: process.env['PATH'], HOME: folder, CI: 'true' },
  });
  return { code: status, lines: (await readFile(output, 'utf8')).split('\n').slice(0, -1) };
}

test('failures are reported with their place, their message and the beginning of what was received', async () => {
  const { code, lines } = await report({
    array: `
      test('walls hold', () => {
        expect(['unclear by root: some attempt: no answer']).toEqual([]);
      });
    `,
    much: `test('x', () => expect(Array.from({ length: 50 }, (_, n) => 'entry ' + n + 'x'.repeat(5000))).toEqual([]));`,
    thrown: `test('waits', () => { throw new Error('its end: not within 10000 ms\\nmore'); });`,
    hook: `beforeAll(() => { throw new Error('no server'); }); test('x', () => undefined);`,
    suite: `describe('s', () => { beforeAll(() => { throw new Error('no disk'); }); test('x', () => undefined); });`,
    unloadable: `import './missing.mjs';`,
    fine: `test('x', () => undefined);`,
  });
  expect(code).toBe(1);
  const of = (file: string): string[] => {
    const at = lines.findIndex((line) => line.startsWith(`${file}.test.mjs`));
    const next = lines.findIndex((line, index) => index > at && !line.startsWith(' '));
    return at < 0 ? [] : lines.slice(at, next < 0 ? undefined : next);
  };
  expect(of('array')).toEqual([
    'array.test.mjs:3 > walls hold: AssertionError: expected [ Array(1) ] to deeply equal []',
    '    +   "unclear by root: some attempt: no answer",',
  ]);
  const [, first, ...more] = of('much');
  expect(first).toMatch(/^ {4}\+ {3}"entry 0x+\.\.\.$/);
  expect(more.slice(3)).toEqual(['    + ... 46 more lines']);
  expect(Math.max(...lines.map(({ length }) => length))).toBeLessThan(700);
  expect(of('thrown')).toEqual(['thrown.test.mjs:1 > waits: Error: its end: not within 10000 ms']);
  expect(of('hook')).toEqual(['hook.test.mjs: Error: no server']);
  expect(of('suite')).toEqual(['suite.test.mjs: Error: no disk']);
  expect(of('unloadable').join('\n')).toMatch(/^unloadable\.test\.mjs: Error: Cannot find module '\.\/missing\.mjs'/);
  expect(of('fine')).toEqual([]);
});

test('a worker that ends is reported with its file', async () => {
  const killed = `test('x', () => process.kill(process.pid, 'SIGKILL'));`;
  const { code, lines } = await report({ killed, fine: `test('x', () => undefined);` });
  expect(code).toBe(1);
  expect(lines).toEqual([
    'killed.test.mjs: it was not run to its end',
    'outside of the tests: Error: [vitest-pool]: Worker forks emitted error. (Worker exited unexpectedly)',
  ]);
});

test('a run without failures leaves an empty report', async () => {
  expect(await report({ fine: `test('x', () => undefined);` })).toEqual({ code: 0, lines: [] });
});
