import { mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { stripTypeScriptTypes } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { removeTree } from '@soulbox/base';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { checkProgram } from './check-program.ts';
import { applyRenames, outputName, readProgramTree } from './program-tree.ts';
import type { ProgramTree } from './program-tree.ts';
import { readWorkspacePackages } from './workspace-packages.ts';

let root: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'soulbox-tree-'));
});

afterEach(async () => {
  await removeTree(root);
});

const entry = 'apps/one/src/main.ts';

async function write(files: Readonly<Record<string, string>>): Promise<void> {
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), text);
  }
}

function read(standalone: readonly string[] = []): ProgramTree {
  return readProgramTree(root, { entries: [entry], standalone, packages: readWorkspacePackages(root) });
}

function textOf(tree: ProgramTree, path: string): string | undefined {
  const file = tree.sources.get(path);
  return file === undefined ? undefined : applyRenames(file);
}

test('imports of files and of packages become paths to JavaScript', async () => {
  await write({
    'packages/two/package.json': JSON.stringify({ name: '@soulbox/two', exports: { './deep': './src/deep.ts' } }),
    'packages/two/src/deep.ts': 'export const deep = 1;\n',
    'apps/one/src/near.ts': 'export const near = 2;\n',
    [entry]: [
      "import { deep } from '@soulbox/two/deep';",
      "export { near } from './near.ts';",
      "const late = await import('./late.ts');",
      "import { parse } from 'other/parse';",
      "start(import.meta.resolve('@soulbox/two/deep'));",
    ].join('\n'),
    'apps/one/src/late.ts': "import { readFile } from 'node:fs';\n",
  });
  const tree = read();
  expect(textOf(tree, entry)).toBe(
    [
      "import { deep } from '../../../packages/two/src/deep.js';",
      "export { near } from './near.js';",
      "const late = await import('./late.js');",
      "import { parse } from 'other/parse';",
      "start(import.meta.resolve('../../../packages/two/src/deep.js'));",
    ].join('\n'),
  );
  expect([...tree.sources.keys()].toSorted()).toEqual([
    'apps/one/src/late.ts',
    entry,
    'apps/one/src/near.ts',
    'packages/two/src/deep.ts',
  ]);
  expect([...tree.dependencies]).toEqual(['other']);
});

test('programs that are started by name are included, and strings that name no file of ours stay unchanged', async () => {
  await write({
    'apps/one/src/child.ts': '',
    'apps/one/build/tool.ts': '',
    [entry]: "start(new URL('./child.ts', import.meta.url), 'build/tool.ts', 'mod.ts', '.ts');\n",
  });
  const tree = read();
  expect(textOf(tree, entry)).toBe(
    "start(new URL('./child.js', import.meta.url), 'build/tool.js', 'mod.ts', '.ts');\n",
  );
  expect(tree.sources.has('apps/one/build/tool.ts')).toBe(true);
});

test('files that only types are imported from are not reached', async () => {
  await write({
    [entry]:
      "import type { A } from './types.ts';\nexport type { B } from './types.ts';\nlet c: import('./types.ts').C;\n",
  });
  expect([...read().sources.keys()]).toEqual([entry]);
});

test('scripts and other data of a reached room are assets; tests and manifests are not', async () => {
  await write({
    [entry]: '',
    'apps/one/package.json': JSON.stringify({ name: '@soulbox/one' }),
    'apps/one/src/start.sh': '',
    'apps/one/servers/package.json': '{}',
    'apps/one/src/testing/fake.sh': '',
    'apps/one/src/main.test.ts': '',
    'apps/two/src/other.sh': '',
  });
  expect(read().assets).toEqual(['apps/one/servers/package.json', 'apps/one/src/start.sh']);
});

test('test code that a packaged file imports stops the build', async () => {
  await write({ [entry]: "import './testing/fake.ts';\n", 'apps/one/src/testing/fake.ts': '' });
  expect(() => read()).toThrow('apps/one/src/testing/fake.ts belongs to tests');
});

test('a standalone program is renamed and its imports are not followed', async () => {
  await write({ [entry]: "run('guest.ts');\n", 'apps/one/src/guest.ts': "import 'heavy';\n" });
  const tree = read(['apps/one/src/guest.ts']);
  expect(textOf(tree, entry)).toBe("run('guest.js');\n");
  expect([...tree.dependencies]).toEqual([]);
});

test('the check finds files that would not run', async () => {
  const dependencies = new Set(['known']);
  await write({
    'out/a.js': [
      "import './b.js';",
      "import './gone.js';",
      "import 'known/part';",
      "import 'unknown';",
      "import 'node:fs';",
      "start(import.meta.resolve('@soulbox/two/deep'));",
      "start(new URL('lost.sh', import.meta.url), join(here, 'left/behind.ts'), 'mod.ts');",
    ].join('\n'),
    'out/b.js': '',
    'out/bundle.js': "import 'whatever';\n",
  });
  expect(checkProgram(join(root, 'out'), { dependencies, bundles: ['bundle.ts'] })).toEqual([
    'a.js: imports ./gone.js, which is not there',
    'a.js: imports unknown, which is no dependency',
    'a.js: imports @soulbox/two/deep, which is no dependency',
    'a.js: names lost.sh, which is not there',
    'a.js: names left/behind.ts, which only a clone has',
  ]);
});

test('lines and columns of the result are those of the source', () => {
  expect(stripTypeScriptTypes('const a: number = 1;\ninterface B {\n  c: string;\n}\nfail(a as number);\n')).toBe(
    'const a         = 1;\n             \n            \n \nfail(a          );\n',
  );
  expect(outputName('apps/one/bin/start.mjs')).toBe('apps/one/bin/start.mjs');
});
