import { describe, expect, test } from 'vitest';
import { sureness } from './runtime.ts';
import { scriptClues, scriptCodeFile, scriptEntries, scriptLanguageOf } from './script-clues.ts';
import type { ScriptSigns } from './script-clues.ts';
import { emptyFolder } from './sight.ts';
import type { Sight } from './sight.ts';

const signs: ScriptSigns = {
  programs: ['bun', 'bunx'],
  ownFiles: ['bun.lock', 'bunfig.toml'],
  namedBy: ({ texts }) => texts.get('package.json'),
};
const nothing: Sight = { fileName: undefined, firstLine: '', folder: emptyFolder, language: undefined };
const folder = (...names: string[]) => ({ names: new Set(names), texts: new Map<string, string>() });
const find = (sight: Partial<Sight>) =>
  scriptClues({ ...nothing, ...sight }, signs).map(({ sureness, language, why }) => [sureness, language, why]);

test.each([
  ['javascript', ['a.js', 'a.mjs', 'a.cjs', 'a.jsx', 'a.JS']],
  ['typescript', ['a.ts', 'a.mts', 'a.cts', 'a.tsx', 'a.d.ts']],
  [undefined, ['a.json', 'js', '.ts', 'a.tsv', '']],
] as const)('%s is the language of %j', (language, names) => {
  for (const name of names) expect(scriptLanguageOf(name), name).toBe(language);
});

test('code without a file gets the extension of its language', () => {
  expect(scriptCodeFile('typescript')).toEqual({ place: 'beside', name: '.ts' });
  expect(scriptCodeFile('javascript')).toEqual({ place: 'beside', name: '.js' });
});

describe('a file', () => {
  test('is detected by its name, with the same certainty as any runtime of the language', () => {
    expect(find({ fileName: 'a.ts' })).toEqual([[sureness.sharedExtension, 'typescript', 'the name ends with .ts']]);
    expect(find({ fileName: 'a.mjs' })).toEqual([[sureness.sharedExtension, 'javascript', 'the name ends with .mjs']]);
  });

  test('is detected by its first line before its name', () => {
    expect(find({ fileName: 'a.ts', firstLine: '#!/usr/bin/env bunx' })).toEqual([
      [sureness.shebang, 'typescript', 'the first line names bunx'],
      [sureness.sharedExtension, 'typescript', 'the name ends with .ts'],
    ]);
    const named = [[sureness.shebang, 'javascript', 'the first line names bun']];
    expect(find({ fileName: 'tool', firstLine: '#!/usr/bin/env bun' })).toEqual(named);
    expect(find({ firstLine: '#!/usr/bin/env bun' })).toEqual(named);
  });

  test('of another language is not detected, whatever is around it', () => {
    const around = folder('bun.lock', 'package.json', 'index.ts');
    expect(find({ fileName: 'a.py', folder: around })).toEqual([]);
    expect(find({ fileName: 'tool', firstLine: '#!/usr/bin/env python3', folder: around })).toEqual([]);
    expect(find({ fileName: 'a.ts', language: 'python', folder: around })).toEqual([]);
  });

  test("has the language of its name, not that of its project's entry file", () => {
    expect(find({ fileName: 'a.js', folder: folder('bun.lock', 'index.ts') })).toEqual([
      [sureness.sharedExtension, 'javascript', 'the name ends with .js'],
      [sureness.ownFile, 'javascript', 'the folder has bun.lock'],
      [sureness.entryFile, 'javascript', 'the folder has index.ts'],
    ]);
  });
});

describe('code without a file', () => {
  test('has the specified language', () => {
    const asked = [[sureness.sharedExtension, 'typescript', 'typescript was requested']];
    expect(find({ language: 'typescript' })).toEqual(asked);
    expect(find({ language: 'typescript', firstLine: 'let a: number' })).toEqual(asked);
    // Also for a file whose name says something else.
    expect(find({ language: 'typescript', fileName: 'a.js' })).toEqual(asked);
  });

  test('is not detected by the folder it runs in', () => {
    expect(find({ firstLine: 'print(1)', folder: folder('bun.lock', 'package.json') })).toEqual([]);
    expect(find({ firstLine: '#!/usr/bin/env python3', folder: folder('bun.lock') })).toEqual([]);
  });
});

describe('a project', () => {
  test("is detected by a runtime's own files, its package.json and its entry file", () => {
    const names = folder('bunfig.toml', 'bun.lock', 'package.json', 'server.ts');
    names.texts.set('package.json', 'package.json names it');
    expect(find({ folder: names })).toEqual([
      [sureness.ownFile, 'typescript', 'the folder has bun.lock'],
      [sureness.ownFile, 'typescript', 'the folder has bunfig.toml'],
      [sureness.ownFile, 'typescript', 'package.json names it'],
      [sureness.sharedExtension, 'typescript', 'the folder has package.json'],
      [sureness.entryFile, 'typescript', 'the folder has server.ts'],
    ]);
  });

  test('without any such file is not detected', () => {
    expect(find({ folder: folder('README.md', 'main.py') })).toEqual([]);
  });

  test.each(['index.ts', 'main.js', 'server.mjs', 'app.cjs', 'mod.mts'])('may begin with %s', (name) => {
    expect(scriptEntries).toContain(name);
    expect(find({ folder: folder(name) })).toEqual([
      [sureness.entryFile, scriptLanguageOf(name), `the folder has ${name}`],
    ]);
  });

  test('with several entry files begins with index, and with TypeScript if there is one', () => {
    expect(find({ folder: folder('main.ts', 'index.js') })[0]?.[2]).toBe('the folder has index.js');
    expect(find({ folder: folder('index.js', 'index.ts') })[0]?.[2]).toBe('the folder has index.ts');
  });

  test('has the language of its entry file, or else of its settings', () => {
    const languageOf = (...names: string[]) => find({ folder: folder('bun.lock', ...names) })[0]?.[1];
    expect(languageOf()).toBe('javascript');
    expect(languageOf('tsconfig.json')).toBe('typescript');
    expect(languageOf('tsconfig.json', 'index.js')).toBe('javascript');
    expect(languageOf('main.ts')).toBe('typescript');
  });
});
