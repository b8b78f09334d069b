import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { removeTree } from '@soulbox/base';
import { afterAll, beforeAll, expect, test } from 'vitest';

const root = join(import.meta.dirname, '..');
let folder: string;
let found: string[];

/** Each file, and what the linter must report about it, in the order of the lines. */
const files: Record<string, readonly (readonly [line: string, rule?: string])[]> = {
  'apps/api/src/hazards.ts': [
    [`import { exec } from 'node:child_process';`, 'eslint(no-restricted-imports)'],
    [`import { nothing } from './nowhere.ts';`, 'typescript(TS2307)'],
    ['export class Thing { #a = 1; b = () => [this.#a, exec, String(nothing)]; }', 'soulbox(no-plain-class)'],
    ['export class Fault extends Error {}'],
    [`export const variable = process.env['A'];`, 'eslint(no-restricted-properties)'],
    ['export const leave = () => process.exit(1);', 'eslint(no-restricted-properties)'],
    [`console.log('a');`, 'eslint(no-console)'],
    ['const later = async () => await Promise.resolve(1);'],
    ['later();', 'typescript(no-floating-promises)'],
    ['// oxlint-disable-next-line typescript/no-floating-promises -- with a reason'],
    ['later();'],
    ['// oxlint-disable-next-line typescript/no-floating-promises -- with a reason', 'unused'],
    ['await later();'],
    [`export const text: string = 1;`, 'typescript(TS2322)'],
    ['enum Color { red }', 'typescript(TS1294)'],
    [`export const first = (list: string[]): string => list[0];`, 'typescript(TS2322)'],
    ['export const red = Color.red;'],
  ],
  'apps/api/src/hazards.test.ts': [
    [`import { expect } from 'vitest';`],
    ['expect(1).toMatchObject([{ a: { b: /c/ } }]);', 'soulbox(no-regex-in-to-match-object)'],
    ['expect(1).toEqual({ a: /c/ });'],
    [`export const variable = process.env['A'];`],
  ],
  'apps/api/src/main.ts': [['process.exit(1);']],
  'apps/cli/src/words.ts': [[`console.log('a');`]],
  'apps/envd/src/runtime.ts': [['export const version: number = Bun.version;', 'typescript(TS2322)']],
  'apps/runner/src/pool/room.ts': [
    [`export type { Sandbox } from '@soulbox/contract/runner';`, 'eslint(no-restricted-imports)'],
  ],
  'apps/runner/src/serve/room.ts': [[`export type { Sandbox } from '@soulbox/contract/runner';`]],
};

interface Report {
  readonly diagnostics: readonly {
    readonly message: string;
    readonly code?: string;
    readonly filename: string;
    readonly labels: readonly { readonly span: { readonly line: number } }[];
  }[];
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'soulbox-lint-'));
  const same = [
    'oxlint.config.ts',
    'scripts/lint-rules.ts',
    'tsconfig.json',
    'apps/envd/tsconfig.json',
    'package.json',
  ];
  for (const path of same) await cp(join(root, path), join(folder, path));
  await symlink(join(root, 'node_modules'), join(folder, 'node_modules'));
  for (const [path, lines] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), lines.map(([line]) => `${line}\n`).join(''));
  }
  const { diagnostics } = JSON.parse(await lint()) as Report;
  found = diagnostics.map(({ message, code, filename, labels }) => {
    const rule = code ?? (message.startsWith('Unused') ? 'unused' : message);
    return `${filename}:${labels[0]?.span.line ?? 0} ${rule}`;
  });
});
afterAll(async () => {
  await removeTree(folder);
});

/** With errors the command exits with 1, which is no failure here. */
async function lint(): Promise<string> {
  return await new Promise((resolve, reject) => {
    execFile('npm', ['run', '--silent', 'lint', '--', '--format=json'], { cwd: folder }, (error, stdout) => {
      if (error?.code === 1) resolve(stdout);
      else reject(error ?? new Error('The linter found nothing.'));
    });
  });
}

test.each(Object.keys(files))('%s: the linter finds exactly what is wrong', (path) => {
  const wanted = files[path]?.flatMap(([, rule], index) =>
    rule === undefined ? [] : [`${path}:${index + 1} ${rule}`],
  );
  expect(found.filter((line) => line.startsWith(`${path}:`)).toSorted()).toEqual(wanted?.toSorted());
});
