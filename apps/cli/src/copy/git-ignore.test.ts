import { mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { removeTree } from '@soulbox/base';
import { createIgnoreRules } from './git-ignore.ts';
import { parseEntry } from './list-entries.ts';

test('the innermost rules that know a path decide', async () => {
  const root = await mkdtemp(join(tmpdir(), 'soulbox-ignore-'));
  try {
    await mkdir(join(root, 'pkg'));
    await writeFile(join(root, '.gitignore'), 'build/\n*.log\n/only-here\n');
    await writeFile(join(root, 'pkg/.gitignore'), '!keep.log\n');
    const rules = createIgnoreRules(root);
    for (const folder of ['', 'pkg', 'none']) rules.enter(folder);
    const ignored = (path: string): boolean => rules.isIgnored(path, path.endsWith('build'));
    for (const path of ['a.log', 'pkg/a.log', 'build', 'pkg/build', 'only-here', '.git', 'pkg/.git'])
      expect([path, ignored(path)]).toEqual([path, true]);
    for (const path of ['...', '.../a', '..a', 'pkg/...', 'a', 'pkg/keep.log', 'pkg/only-here', '.gitignore'])
      expect([path, ignored(path)]).toEqual([path, false]);
  } finally {
    await removeTree(root);
  }
});

test('entries of a list are read with names of any bytes', () => {
  expect(parseEntry('81a4 12 1700000000 user user ./a b\n\xff')).toEqual({
    ...{ kind: 'file', mode: 0o644, size: 12, mtime: 1_700_000_000, owner: 'user', group: 'user', path: 'a b\n\xff' },
  });
  expect(parseEntry('21b6 0 0 root root ./null').kind).toBe('special');
  for (const record of ['', 'x', '81a4 -1 0 a b ./x', '81a4 1 0 a b ', `81a4 ${'9'.repeat(30)} 0 a b ./x`])
    expect(() => parseEntry(record)).toThrow('invalid list');
});
