import { mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { removeTree } from '@soulbox/base';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { findDeadLinks } from './dead-links.ts';
import { stageDocuments } from './stage-program.ts';

let root: string;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'soulbox-links-'));
});

afterAll(async () => {
  await removeTree(root);
});

test('a relative link leads to a file or a folder, with or without a heading', async () => {
  await mkdir(join(root, 'docs/deep'), { recursive: true });
  await writeFile(
    join(root, 'top.md'),
    '[a](docs/page.md#part) <img src="gone.svg"> [b](https://host/gone) [c](#here)',
  );
  await writeFile(join(root, 'docs/page.md'), '[a](deep/) [b](../top.md)\n[c](deep/gone.md#x) [d](../gone/)');
  expect(findDeadLinks(root, ['top.md', 'docs/page.md'])).toEqual([
    'top.md: links to gone.svg, which is not there',
    'docs/page.md: links to deep/gone.md#x, which is not there',
    'docs/page.md: links to ../gone/, which is not there',
  ]);
});

test('the packaged pages link to each other and to nothing that only a clone has', async () => {
  const target = join(root, 'staged');
  const pages = await stageDocuments(join(import.meta.dirname, '../..'), target);
  expect(pages).toEqual(expect.arrayContaining(['README.md', 'docs/README.md', 'docs/decisions/035-packages.md']));
  // The program itself has this folder.
  await mkdir(join(target, 'apps/code-interpreter'), { recursive: true });
  expect(findDeadLinks(target, pages)).toEqual([]);
});
