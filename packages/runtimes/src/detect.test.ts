import fc from 'fast-check';
import { expect, test } from 'vitest';
import { detect, equallySure, getRuntime } from './detect.ts';
import { languages, runtimeNames } from './names.ts';
import { emptyFolder } from './sight.ts';
import type { Folder, Sight } from './sight.ts';
import { runs } from './version.ts';

const nothing: Sight = { fileName: undefined, firstLine: '', folder: emptyFolder, language: undefined };

/** A folder whose files have the texts given; `true` stands for one that nobody reads. */
function folder(files: Readonly<Record<string, string | true>>): Folder {
  const texts = Object.entries(files).flatMap(([name, text]) => (text === true ? [] : [[name, text] as const]));
  return { names: new Set(Object.keys(files)), texts: new Map(texts) };
}

test.each([
  ['main.py', 'python', 'python'],
  ['a.b.PY', 'python', 'python'],
  ['index.js', 'node', 'javascript'],
  ['index.mts', 'node', 'typescript'],
  ['job.sh', 'bash', 'bash'],
  ['model.R', 'r', 'r'],
  ['Main.java', 'java', 'java'],
  ['main.go', 'go', 'go'],
  ['app.rb', 'ruby', 'ruby'],
  ['index.php', 'php', 'php'],
  ['x.lua', 'lua', 'lua'],
  ['lib.rs', 'rust', 'rust'],
] as const)('%s is run by %s', (fileName, runtime, language) => {
  const [best] = detect({ ...nothing, fileName });
  expect(best).toMatchObject({ runtime, language });
  expect(best?.reasons[0]).toMatch(/the name ends with \./);
});

test.each([
  ['#!/usr/bin/env python3', 'python'],
  ['#!/usr/bin/python3.13 -u', 'python'],
  ['#!/usr/bin/env -S deno run --allow-net', 'deno'],
  ['#!/usr/bin/env A=1 node', 'node'],
  ['#!/bin/sh -e', 'bash'],
  ['#! /usr/local/bin/bun', 'bun'],
  ['#!/usr/bin/Rscript', 'r'],
  ['#!/usr/bin/env lua5.4', 'lua'],
  ['<?php echo 1;', 'php'],
] as const)('the first line %j asks for %s', (firstLine, runtime) => {
  expect(detect({ ...nothing, firstLine })[0]).toMatchObject({ runtime });
  // Also in a file without an ending.
  expect(detect({ ...nothing, fileName: 'tool', firstLine })[0]).toMatchObject({ runtime });
});

test.each([
  [{ 'bun.lock': true, 'package.json': '{}' }, 'bun', 'javascript', 'the folder has bun.lock'],
  [{ 'bun.lockb': true }, 'bun', 'javascript', 'the folder has bun.lockb'],
  [{ 'package.json': '{"packageManager":"bun@1.4.5"}' }, 'bun', 'javascript', 'packageManager of package.json is bun'],
  [{ 'package.json': '{"packageManager":"pnpm@9"}' }, 'node', 'javascript', 'packageManager of package.json is pnpm'],
  [{ 'package.json': '{"scripts":{"start":"bun x.ts"}}' }, 'bun', 'javascript', /start script .* runs bun/],
  [{ 'package.json': '{"type":"module"}' }, 'node', 'javascript', 'the folder has package.json'],
  [{ 'package.json': '{}', 'tsconfig.json': true }, 'node', 'typescript', 'the folder has package.json'],
  [{ 'deno.json': '{}', 'package.json': '{}', 'main.ts': true }, 'deno', 'typescript', 'the folder has deno.json'],
  [{ 'deno.jsonc': '' }, 'deno', 'javascript', 'the folder has deno.jsonc'],
  [{ 'pyproject.toml': '' }, 'python', 'python', 'the folder has pyproject.toml'],
  [{ 'requirements.txt': 'x' }, 'python', 'python', 'the folder has requirements.txt'],
  [{ 'go.mod': true }, 'go', 'go', 'the folder has go.mod'],
  [{ 'Cargo.toml': true }, 'rust', 'rust', 'the folder has Cargo.toml'],
  [{ 'pom.xml': true }, 'java', 'java', 'the folder has pom.xml'],
  [{ 'build.gradle': true }, 'java', 'java', 'the folder has build.gradle'],
  [{ Gemfile: true }, 'ruby', 'ruby', 'the folder has Gemfile'],
  [{ 'composer.json': '{}' }, 'php', 'php', 'the folder has composer.json'],
  [{ 'soul-1.0-1.rockspec': true }, 'lua', 'lua', 'the folder has soul-1.0-1.rockspec'],
  [{ DESCRIPTION: true }, 'r', 'r', 'the folder has DESCRIPTION'],
  [{ 'main.py': true }, 'python', 'python', 'the folder has main.py'],
  [{ 'Main.java': true }, 'java', 'java', 'the folder has Main.java'],
] as const)('a folder with %j is run by %s as %s', (files, runtime, language, why) => {
  const [best] = detect({ ...nothing, folder: folder(files) });
  expect(best).toMatchObject({ runtime, language });
  expect(best?.reasons[0]).toMatch(why);
});

test('a file takes its runtime from the project around it, when that speaks its language', () => {
  const bunProject = folder({ 'bun.lock': true });
  expect(detect({ ...nothing, fileName: 'a.ts', folder: bunProject })[0]).toMatchObject({ runtime: 'bun' });
  expect(detect({ ...nothing, fileName: 'a.py', folder: bunProject })[0]).toMatchObject({ runtime: 'python' });
});

test('without a word about it, TypeScript may be run by any of three', () => {
  const found = equallySure(detect({ ...nothing, fileName: 'a.ts' }));
  expect(found.map(({ runtime }) => runtime)).toEqual(['node', 'bun', 'deno']);
});

test('nothing is found where there is nothing to see', () => {
  expect(detect(nothing)).toEqual([]);
  expect(detect({ ...nothing, fileName: 'README.md' })).toEqual([]);
  expect(detect({ ...nothing, fileName: 'noending' })).toEqual([]);
  expect(detect({ ...nothing, firstLine: 'print(1)' })).toEqual([]);
});

test('Node runs TypeScript from the version on that removes types', () => {
  expect(runs(getRuntime('node'), 'typescript', '20.19.2')).toBe(false);
  expect(runs(getRuntime('node'), 'typescript', '22.18.0')).toBe(true);
  expect(runs(getRuntime('node'), 'typescript', '24.0')).toBe(true);
  expect(runs(getRuntime('node'), 'javascript', '12.1')).toBe(true);
  expect(runs(getRuntime('python'), 'ruby', undefined)).toBe(false);
});

const anyName = fc.oneof(
  fc.string({ maxLength: 30 }),
  fc.constantFrom('package.json', 'deno.json', 'bun.lock', 'Gemfile', 'go.mod', 'main.py', 'index.ts', '__proto__'),
);
const anyText = fc.oneof(fc.string({ maxLength: 60 }), fc.json({ maxDepth: 2 }));
const anyFolder = fc.dictionary(anyName, anyText, { maxKeys: 8 }).map((files) => folder(files));
const anySight: fc.Arbitrary<Sight> = fc.record({
  fileName: fc.option(anyName, { nil: undefined }),
  firstLine: fc.oneof(
    fc.string({ maxLength: 60 }),
    fc.string({ maxLength: 30 }).map((text) => `#!${text}`),
  ),
  folder: anyFolder,
  language: fc.option(fc.constantFrom(...languages), { nil: undefined }),
});

test('whatever is looked at, the answer is well formed and sorted', () => {
  fc.assert(
    fc.property(anySight, (sight) => {
      const found = detect(sight);
      expect(found.map(({ sureness }) => sureness)).toEqual(
        found.map(({ sureness }) => sureness).sort((a, b) => b - a),
      );
      expect(new Set(found.map(({ runtime }) => runtime)).size).toBe(found.length);
      for (const { runtime, language, sureness, reasons } of found) {
        expect(sureness).toBeGreaterThan(0);
        expect(sureness).toBeLessThanOrEqual(1);
        expect(reasons.length).toBeGreaterThan(0);
        expect(getRuntime(runtime).features.languages.map((support) => support.language)).toContain(language);
      }
    }),
  );
});

test('the order in which a folder is listed changes nothing', () => {
  fc.assert(
    fc.property(anySight, (sight) => {
      const { names, texts } = sight.folder;
      const turned = { names: new Set([...names].reverse()), texts: new Map([...texts].reverse()) };
      const strip = (found: ReturnType<typeof detect>) => found.map(({ runtime, sureness }) => ({ runtime, sureness }));
      expect(strip(detect({ ...sight, folder: turned }))).toEqual(strip(detect(sight)));
    }),
  );
});

test('a language that was asked for is the language of every answer', () => {
  fc.assert(
    fc.property(anySight, fc.constantFrom(...languages), (sight, language) => {
      const found = detect({ ...sight, language });
      expect(found.length).toBeGreaterThan(0);
      for (const detection of found) expect(detection.language).toBe(language);
    }),
  );
});

test('a first line that names an interpreter beats everything around it', () => {
  fc.assert(
    fc.property(anySight, fc.constantFrom('python3', 'ruby', 'php', 'lua', 'bash', 'deno'), (sight, program) => {
      const [best] = detect({ ...sight, language: undefined, firstLine: `#!/usr/bin/env ${program}` });
      expect(best?.runtime).toBe(program === 'python3' ? 'python' : program);
    }),
  );
});

test.each(runtimeNames)('%s never throws for a hostile project, and its commands are arrays of words', (name) => {
  fc.assert(
    fc.property(anyFolder, fc.array(fc.string({ maxLength: 10 }), { maxLength: 3 }), (anything, args) => {
      const runtime = getRuntime(name);
      const project = { path: '/p', folder: anything };
      const [{ language }] = runtime.features.languages as [{ language: (typeof languages)[number] }];
      const execution = runtime.execute({ language, file: undefined, project, args, memoryMb: 64, permissions: {} });
      const commands = [...(runtime.prepare(anything)?.commands ?? []), ...(execution ? [execution.command] : [])];
      for (const command of commands) for (const word of command) expect(word).toBeTypeOf('string');
      // What the caller gives stands at the end, each word as it is.
      if (execution !== undefined && args.length > 0) expect(execution.command.slice(-args.length)).toEqual(args);
    }),
  );
});

test('Deno may do nothing that is not named', () => {
  const run = (permissions: object) =>
    getRuntime('deno').execute({
      language: 'typescript',
      file: '/a.ts',
      project: undefined,
      args: [],
      memoryMb: undefined,
      permissions,
    })?.command;
  expect(run({})).toEqual(['deno', 'run', '--quiet', '--no-prompt', '/a.ts']);
  expect(run({ net: false, read: [] })).toEqual(['deno', 'run', '--quiet', '--no-prompt', '/a.ts']);
  expect(run({ net: ['a.example:443', 'b.example'], env: true })).toEqual([
    'deno',
    'run',
    '--quiet',
    '--no-prompt',
    '--allow-net=a.example:443,b.example',
    '--allow-env',
    '/a.ts',
  ]);
});
