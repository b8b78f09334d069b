import type { Dirent } from 'node:fs';
import { expect, test } from 'vitest';
import { createSortedFolders } from './sorted-folders.ts';
import { walkObjects } from './walk.ts';

const { signal } = new AbortController();
const nameOf = (name: string): Pick<Dirent, 'name' | 'isFile' | 'isDirectory'> => ({
  ...{ name, isFile: () => !name.endsWith('+'), isDirectory: () => name.endsWith('+') },
});

/** Folders by their path below the root, and how often each was read. */
function openFolders(folders: Readonly<Record<string, readonly string[]>>) {
  const reads: string[] = [];
  const read = async function* (path: string): AsyncGenerator<ReturnType<typeof nameOf>> {
    await Promise.resolve();
    const folder = path.slice('/root'.length).replace(/^\//, '');
    reads.push(folder);
    for (const name of folders[folder] ?? []) yield nameOf(name);
  };
  return { sorted: createSortedFolders('/root', (path) => Promise.resolve(read(path))), reads };
}

type Sorted = ReturnType<typeof openFolders>['sorted'];

async function list(sorted: Sorted, limit: number, prefix = ''): Promise<string[]> {
  const found: string[] = [];
  let after: string | undefined;
  for (;;) {
    const page: string[] = [];
    for await (const { key } of walkObjects(sorted, { prefix, after, limit, combinesFolders: false }, signal)) {
      if (page.length === limit) break;
      page.push(key);
    }
    found.push(...page);
    if (page.length < limit) return found;
    after = page.at(-1);
  }
}

/** In no order, as a kernel lists them. */
const shuffled = (count: number): string[] =>
  Array.from({ length: count }, (_, index) => `n${String((index * 7919) % count).padStart(7, '0')}`);
const byBytes = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));

test('a folder of many objects is not read again for each page', async () => {
  const names = shuffled(250_007);
  const { sorted, reads } = openFolders({ '': names });
  expect(await list(sorted, 1000)).toEqual(names.toSorted());
  // The first page, and then a hundred pages at a time.
  expect(reads.length).toBeLessThanOrEqual(5);
});

test('names above U+FFFF and those of folders are in the order of their bytes, over all pages', async () => {
  const strange = ['\u{1f600}', '\uffee', 'a', 'b+', 'é', '\ud7ff', '%2B', 'a+', 'zz'];
  const names = [...strange.flatMap((name) => (name.endsWith('+') ? [name] : [name, `${name}1`])), ...shuffled(2500)];
  const { sorted } = openFolders({ '': names, 'a+': ['x', '\u{10000}', '\ufffd'], 'b+': shuffled(1500) });
  const found = await list(sorted, 7);
  expect(found).toHaveLength(names.length - 2 + 3 + 1500);
  expect(found).toEqual(found.toSorted(byBytes));
  expect(found).toContain('a/\u{10000}');
  expect(await list(sorted, 100, 'b/')).toEqual(found.filter((key) => key.startsWith('b/')));
});

test('a new list sees what is new, also while another one is read on', async () => {
  const names = shuffled(5000);
  const folders = { '': names };
  const { sorted } = openFolders(folders);
  expect(await list(sorted, 500)).toHaveLength(5000);
  names.push('first', 'zlast');
  expect(await list(sorted, 10_000)).toHaveLength(5002);
});

test('what is kept for the next pages is bounded, and a list without it goes on', async () => {
  const all = ['a', 'b', 'c', 'd'];
  const folders = Object.fromEntries(all.map((name) => [`${name}+`, shuffled(90_000)]));
  const { sorted, reads } = openFolders({ '': all.map((name) => `${name}+`), ...folders });
  const next = async (name: string): Promise<string | undefined> => {
    const walk = { prefix: `${name}/`, after: `${name}/n0000005`, limit: 10, combinesFolders: false };
    for await (const { key } of walkObjects(sorted, walk, signal)) return key;
    return undefined;
  };
  const readsOf = async (name: string): Promise<number> => {
    reads.length = 0;
    expect(await next(name)).toBe(`${name}/n0000006`);
    return reads.filter((folder) => folder === `${name}+`).length;
  };
  for (const name of all) expect(await readsOf(name)).toBe(1);
  // Two of them fit.
  expect(await readsOf('d')).toBe(0);
  expect(await readsOf('c')).toBe(0);
  expect(await readsOf('a')).toBe(1);
});
