/** @module-tag violation */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { detect, equallySure, getRuntime } from './detect.ts';
import { languages, runtimeNames } from './names.ts';
import { emptyFolder } from './sight.ts';
import type { Folder, Sight } from './sight.ts';
import { runs } from './version.ts';

const nothing: Sight = { fileName: undefined, firstLine: '', folder: emptyFolder, language: undefined };

/** A folder whose files have the given texts; `true` stands for a file that is not read. */
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
  // Also for a file without an extension.
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

test('a file takes its runtime from the project around it, if that uses its language', () => {
  const bunProject = folder({ 'bun.lock': true });
  expect(detect({ ...nothing, fileName: 'a.ts', folder: bunProject })[0]).toMatchObject({ runtime: 'bun' });
  expect(detect({ ...nothing, fileName: 'a.py', folder: bunProject })[0]).toMatchObject({ runtime: 'python' });
});

test('without further clues, any of three runtimes may run TypeScript', () => {
  const found = equallySure(detect({ ...nothing, fileName: 'a.ts' }));
  expect(found.map(({ runtime }) => runtime)).toEqual(['node', 'bun', 'deno']);
});

test('equallySure leaves out those that are less sure than the best', () => {
  const found = detect({ ...nothing, fileName: 'a.ts', folder: folder({ 'bun.lock': true }) });
  expect(found.map(({ runtime }) => runtime)).toEqual(['bun', 'node', 'deno']);
  expect(equallySure(found).map(({ runtime }) => runtime)).toEqual(['bun']);
  expect(equallySure([])).toEqual([]);
});

test('nothing is detected without any input', () => {
  expect(detect(nothing)).toEqual([]);
  expect(detect({ ...nothing, fileName: 'README.md' })).toEqual([]);
  expect(detect({ ...nothing, fileName: 'noending' })).toEqual([]);
  expect(detect({ ...nothing, firstLine: 'print(1)' })).toEqual([]);
});

test('Node runs TypeScript from the version on that strips types', () => {
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

test('for any input, the result is well formed and sorted', () => {
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

test('the order in which a folder is listed does not matter', () => {
  fc.assert(
    fc.property(anySight, (sight) => {
      const { names, texts } = sight.folder;
      const turned = { names: new Set([...names].reverse()), texts: new Map([...texts].reverse()) };
      const strip = (found: ReturnType<typeof detect>) => found.map(({ runtime, sureness }) => ({ runtime, sureness }));
      expect(strip(detect({ ...sight, folder: turned }))).toEqual(strip(detect(sight)));
    }),
  );
});

test('if a language was specified, every result has that language', () => {
  fc.assert(
    fc.property(anySight, fc.constantFrom(...languages), (sight, language) => {
      const found = detect({ ...sight, language });
      expect(found.length).toBeGreaterThan(0);
      for (const detection of found) expect(detection.language).toBe(language);
    }),
  );
});

test('a first line that names an interpreter has priority over everything else', () => {
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
      const commands = [
        ...(runtime.prepare(anything, '/p')?.commands ?? []),
        ...(execution ? [execution.command] : []),
      ];
      for (const command of commands) for (const word of command) expect(word).toBeTypeOf('string');
      // The caller's arguments are at the end, each word unchanged.
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

test.each([
  ['node', { 'package.json': '{"dependencies":{"a":"^1"}}' }, ['node_modules']],
  ['node', { 'package.json': '{"dependencies":{"a":"file:../a"}}' }, []],
  ['bun', { 'package.json': '{"dependencies":{"a":"workspace:*"}}' }, []],
  ['python', { 'requirements.txt': 'requests==2.0\n' }, ['.soulbox/python']],
  ['python', { 'requirements.txt': 'requests\n./own\n' }, []],
  ['python', { 'requirements.txt': '-r more.txt\n' }, []],
  ['python', { 'requirements.txt': 'own @ file:///x\n' }, []],
  ['python', { 'requirements.txt': 'wheels/own-1.0-py3-none-any.whl\n' }, []],
  ['python', { 'pyproject.toml': '' }, []],
  ['ruby', { Gemfile: "gem 'rake'" }, ['.soulbox/ruby']],
  ['ruby', { Gemfile: "gem 'own', path: './own'" }, []],
  ['php', { 'composer.json': '{"require":{"a/b":"1"}}' }, ['vendor']],
  ['php', { 'composer.json': '{"require":{"a/b":"1"},"repositories":[{"type": "path"}]}' }, []],
  ['go', { 'go.mod': true, 'go.sum': true }, ['.soulbox/go']],
  ['java', { 'Main.java': true }, []],
] as const)('%s keeps only the results that a lock file determines: %j', (name, files, results) => {
  expect(getRuntime(name).prepare(folder(files), '/p')?.results).toEqual(results);
});

test.each([
  ['node', { 'package.json': '{"name":"a"}' }],
  ['deno', { 'deno.json': '{}' }],
  ['php', { 'composer.json': '{"require":{}}' }],
  ['go', { 'go.mod': true }],
  ['bash', { 'package.json': '{"dependencies":{"a":"1"}}' }],
] as const)('%s installs nothing for a project without dependencies: %j', (name, files) => {
  expect(getRuntime(name).prepare(folder(files), '/p')).toBeUndefined();
});

test.each([
  ['node', { 'package.json': '{"scripts":{"start":"x"}}' }, ['npm', '--silent', 'run', 'start', '--', 'a']],
  ['node', { 'package.json': '{"main":"lib/x.js"}' }, ['node', '/p/lib/x.js', 'a']],
  ['node', { 'index.js': true }, ['node', '/p/index.js', 'a']],
  ['bun', { 'package.json': '{"scripts":{"start":"x"}}' }, ['bun', 'run', '--silent', 'start', 'a']],
  // A start script would have permissions of its own.
  ['deno', { 'deno.json': '{"tasks":{"start":"deno run -A x"}}', 'main.ts': true }, /^deno run .* \/p\/main.ts a$/],
  ['python', { '__main__.py': true, 'app.py': true }, ['python3', '-u', '/p/__main__.py', 'a']],
  ['go', { 'go.mod': true, 'x.go': true }, ['go', 'run', '.', 'a']],
  ['ruby', { 'main.rb': true }, ['ruby', '/p/main.rb', 'a']],
  ['ruby', { 'main.rb': true, Gemfile: '' }, ['bundle', 'exec', 'ruby', '/p/main.rb', 'a']],
  ['java', { 'Main.java': true }, /-cp \/p\/.soulbox\/java Main a$/],
  ['rust', { 'Cargo.toml': true }, ['cargo', 'run', '--quiet', '--release', '--', 'a']],
  ['r', { 'main.R': true }, ['Rscript', '/p/main.R', 'a']],
  ['python', { 'README.md': true }, undefined],
  ['java', { 'pom.xml': true }, undefined],
] as const)('%s starts a project with %j in the usual way', (name, files, expected) => {
  const project = { path: '/p', folder: folder(files) };
  const [{ language }] = getRuntime(name).features.languages as [{ language: (typeof languages)[number] }];
  const task = { language, file: undefined, project, args: ['a'], memoryMb: undefined, permissions: {} };
  const command = getRuntime(name).execute(task)?.command;
  if (expected instanceof RegExp) expect(command?.join(' ')).toMatch(expected);
  else expect(command).toEqual(expected);
});
