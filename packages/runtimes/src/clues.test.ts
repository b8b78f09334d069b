import { describe, expect, test } from 'vitest';
import { cluesFrom, extensionOf, firstOf, shebangProgram } from './clues.ts';
import type { Signs } from './clues.ts';
import { sureness } from './runtime.ts';
import { emptyFolder } from './sight.ts';
import type { Sight } from './sight.ts';

test.each([
  ['#!/usr/bin/python3', 'python'],
  ['#!/usr/bin/python3.13 -u', 'python'],
  ['#!/usr/bin/env python3', 'python'],
  ['#!env   node', 'node'],
  ['#! \t/usr/bin/env\t -S  deno run', 'deno'],
  ['#!/usr/bin/env A=1 B=2 node', 'node'],
  ['#!bash', 'bash'],
  // The digits in its name are not a version.
  ['#!/usr/bin/x2y', 'x2y'],
  // Not env, although its name or its folder begins or ends with it.
  ['#!/opt/env/ruby', 'ruby'],
  ['#!/usr/bin/envoy node', 'envoy'],
  ['#!/usr/bin/myenv node', 'myenv'],
])('the first line %j asks for %s', (line, program) => {
  expect(shebangProgram(line)).toBe(program);
});

test.each(['', '#!', '#!  ', '#!/usr/bin/env', '#!/usr/bin/env -S A=1', '#!/', '#!/3.13', '# !/bin/sh', ' #!/bin/sh'])(
  'the first line %j asks for nothing',
  (line) => {
    expect(shebangProgram(line)).toBeUndefined();
  },
);

test("a line of code with a program's name from its third character on is not a shebang", () => {
  expect(shebangProgram('p python')).toBeUndefined();
});

test.each([
  ['main.PY', 'py'],
  ['a.b.ts', 'ts'],
  ['noending', ''],
  // Hidden files have no extension.
  ['.bashrc', ''],
  ['ending.', ''],
  ['', ''],
])('the extension of %j is %j', (name, ending) => {
  expect(extensionOf(name)).toBe(ending);
});

test('the first wanted name that exists is found, in any order of the existing names', () => {
  expect(firstOf(new Set(['b', 'a']), ['x', 'a', 'b'])).toBe('a');
  expect(firstOf(new Set(['b']), ['x'])).toBeUndefined();
});

describe('a language', () => {
  const signs: Signs = {
    language: 'ruby',
    programs: ['ruby', 'jruby'],
    extensions: ['rb', 'rake'],
    projectFiles: ['Gemfile', 'Gemfile.lock'],
    entryFiles: ['main.rb', 'app.rb'],
  };
  const nothing: Sight = { fileName: undefined, firstLine: '', folder: emptyFolder, language: undefined };
  const project = { names: new Set(['app.rb', 'main.rb', 'Gemfile.lock', 'Gemfile']), texts: new Map() };
  const find = (sight: Partial<Sight>) =>
    cluesFrom({ ...nothing, ...sight }, signs).map(({ sureness, why }) => [sureness, why]);

  test('is certain if the caller specified it, and nothing else is checked', () => {
    const sight = { language: 'ruby', fileName: 'a.rb', firstLine: '#!/usr/bin/ruby', folder: project } as const;
    expect(find(sight)).toEqual([[sureness.asked, 'ruby was requested']]);
    expect(find({ ...sight, language: 'python' })).toEqual([]);
  });

  test('is detected from the first line and from the extension of a name', () => {
    expect(find({ fileName: 'a.rake', firstLine: '#!/usr/bin/env jruby' })).toEqual([
      [sureness.shebang, 'the first line names jruby'],
      [sureness.extension, 'the name ends with .rake'],
    ]);
    expect(find({ firstLine: '#!/usr/bin/env jruby' })).toEqual([[sureness.shebang, 'the first line names jruby']]);
  });

  test('is not detected from a first line or name of another language', () => {
    expect(find({ fileName: 'a.py', firstLine: '#!/usr/bin/env python3' })).toEqual([]);
    expect(find({ fileName: 'rb', firstLine: 'puts 1' })).toEqual([]);
  });

  test('is detected from the files of a project, and from its most usual entry file', () => {
    expect(find({ folder: project })).toEqual([
      [sureness.manifest, 'the folder has Gemfile'],
      [sureness.manifest, 'the folder has Gemfile.lock'],
      [sureness.entryFile, 'the folder has main.rb'],
    ]);
  });

  test('of a file or of code is not that of the folder around it', () => {
    expect(find({ fileName: 'tool', folder: project })).toEqual([]);
    expect(find({ firstLine: 'print(1)', folder: project })).toEqual([]);
  });
});
