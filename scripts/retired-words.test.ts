import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import retiredWords from '../docs/retired-words.json' with { type: 'json' };
import { findRetired } from './retired-words.ts';

const folders = [
  'apps',
  'packages',
  'bench',
  'e2e',
  'scripts',
  'docs',
  'spec',
  'deploy',
  'README.md',
  'CHANGELOG.md',
  'CONTRIBUTING.md',
];
/** Decisions and results describe their own time. The list of words and its test contain the words themselves. */
const leftOut = /^(docs\/decisions|bench\/results)\/|retired-words|\/gen\/|package-lock\.json$/;

test('no code, file name or page uses a word that the glossary has replaced', async () => {
  const { stdout } = await promisify(execFile)('git', ['ls-files', '-z', '--', ...folders]);
  const paths = stdout
    .split('\0')
    .filter((path) => /\.(ts|mjs|json|md|proto|sh|py)$/.test(path) && !leftOut.test(path));
  const texts = await Promise.all(paths.map(async (path) => [path, await readFile(path, 'utf8')] as const));
  expect(findRetired(new Map(texts), retiredWords)).toEqual([]);
});

const find = (text: string, word: string, path = 'a.ts') =>
  findRetired(new Map([[path, text]]), [{ word, use: 'another' }]);

test.each(['a wish', 'wishes', 'const wish', 'RunWish', 'wishFrom', 'run-wish.ts', 'WISH', 'MAX_WISHES', 'wished'])(
  'one word is found in every form: %s',
  (text) => {
    expect(find(text, 'wish')).toEqual(['a.ts: "wish" is now another']);
    expect(find('', 'wish', `${text}.ts`)).toHaveLength(1);
  },
);

test.each(['swish', 'wishlisted', 'Wishart', 'SWISH'])('a longer word is a different word: %s', (text) => {
  expect(find(text, 'wish')).toEqual([]);
});

test('several words are found only in identifiers and file names', () => {
  for (const text of ['standStill()', 'StandStill', 'canStandStill', 'stand-still.ts', 'stand_still', 'STAND_STILL'])
    expect(find(text, 'stand-still')).toHaveLength(1);
  expect(find('it may stand still here', 'stand-still')).toEqual([]);
});

test('a file that may still use the word is left out, and reported when it no longer uses it', () => {
  const retired = [{ word: 'wish', use: 'another', still: ['a.ts'] }];
  expect(findRetired(new Map([['a.ts', 'wish']]), retired)).toEqual([]);
  expect(findRetired(new Map([['a.ts', 'request']]), retired)).toEqual(['a.ts has no "wish" any more']);
});
