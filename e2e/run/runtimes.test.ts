import { Sandbox } from 'e2b';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { askApi } from '../harness/http.ts';
import { hasTemplate } from '../harness/template.ts';

// One sandbox for all: Go compiles its library once, which takes seconds.
describe.skipIf(!(await hasTemplate('runtimes')))('in the template runtimes', () => {
  let shared: Sandbox | undefined;
  const sandbox = (): Sandbox => {
    if (shared === undefined) throw new Error('the sandbox is made in beforeAll');
    return shared;
  };
  beforeAll(async () => {
    shared = await Sandbox.create('runtimes', { timeoutMs: 600_000 });
  });
  afterAll(async () => {
    await shared?.kill();
  });

  async function run(body: object): Promise<Record<string, unknown>> {
    const { status, json } = await askApi('POST', `/sandboxes/${sandbox().sandboxId}/run`, { timeout: 100, ...body });
    expect(status, JSON.stringify(json)).toBe(200);
    return json as Record<string, unknown>;
  }

  async function write(project: string, files: Readonly<Record<string, string>>): Promise<void> {
    const entries = Object.entries(files);
    await sandbox().files.write(entries.map(([path, data]) => ({ path: `/home/user/${project}/${path}`, data })));
  }

  // Each program prints its first argument, a variable and its input, then exits with 7.
  const programs = {
    python: 'import sys, os\nprint(sys.argv[1], os.environ["V"], sys.stdin.read().strip())\nsys.exit(7)',
    node: 'const i = require("fs").readFileSync(0, "utf8").trim(); console.log(process.argv[2], process.env.V, i); process.exitCode = 7',
    bun: 'const i: string = (await Bun.stdin.text()).trim(); console.log(process.argv[2], process.env.V, i); process.exit(7)',
    deno: 'const i: string = (await new Response(Deno.stdin.readable).text()).trim(); console.log(Deno.args[0], Deno.env.get("V"), i); Deno.exit(7)',
    bash: 'read -r i; echo "$1" "$V" "$i"; exit 7',
    r: 'cat(commandArgs(TRUE)[1], Sys.getenv("V"), readLines(file("stdin"))[1]); cat("\\n"); quit(status = 7)',
    java: 'public class Main { public static void main(String[] a) { System.out.println(a[0] + " " + System.getenv("V") + " " + new java.util.Scanner(System.in).nextLine()); System.exit(7); } }',
    go: 'package main\nimport ("bufio"; "fmt"; "os")\nfunc main() { l, _ := bufio.NewReader(os.Stdin).ReadString(10); fmt.Print(os.Args[1], " ", os.Getenv("V"), " ", l); os.Exit(7) }',
    ruby: 'puts "#{ARGV[0]} #{ENV["V"]} #{$stdin.read.strip}"; exit 7',
    php: '<?php echo $argv[1], " ", getenv("V"), " ", trim(stream_get_contents(STDIN)), "\\n"; exit(7);',
    lua: 'print(arg[1] .. " " .. os.getenv("V") .. " " .. io.read("l")); os.exit(7)',
  } as const;
  const languageOf: Partial<Record<keyof typeof programs, string>> = {
    node: 'javascript',
    bun: 'typescript',
    deno: 'typescript',
  };

  test.each(Object.keys(programs) as (keyof typeof programs)[])(
    '%s gets arguments, variables and input, and returns its exit code',
    async (runtime) => {
      const answer = await run({
        code: programs[runtime],
        runtime,
        language: languageOf[runtime],
        args: ['a b'],
        envVars: { V: 'v;w' },
        stdin: 'in put\n',
        ...(runtime === 'deno' ? { permissions: { env: ['V'] } } : {}),
      });
      // `go run` prints the code to standard error and itself exits with 1.
      const exitCode = runtime === 'go' ? 1 : 7;
      expect(answer).toMatchObject({ runtime, stdout: 'a b v;w in put\n', exitCode });
      expect(answer['peakMemoryBytes']).toBeGreaterThan(1e6);
    },
    110_000,
  );

  test.each(['node', 'bun', 'deno'])('%s runs TypeScript', async (runtime) => {
    const code = 'interface A { readonly n: number }\nconst a: A = { n: 42 };\nconsole.log(a.n)';
    expect(await run({ code, runtime, language: 'typescript' })).toMatchObject({ runtime, stdout: '42\n' });
  });

  test('a single TypeScript file runs in Node, and in a project it runs in the runtime of the project', async () => {
    await write('ts', { 'plain/a.ts': 'const a: number = 1; console.log(typeof Bun, typeof Deno)' });
    await write('ts', { 'bun/bun.lock': '', 'bun/a.ts': 'console.log(typeof Bun)' });
    await write('ts', { 'deno/deno.json': '{}', 'deno/src/a.ts': 'console.log(typeof Deno)' });
    expect(await run({ file: 'ts/plain/a.ts' })).toMatchObject({ runtime: 'node', stdout: 'undefined undefined\n' });
    expect(await run({ file: 'ts/bun/a.ts' })).toMatchObject({ runtime: 'bun', stdout: 'object\n' });
    expect(await run({ file: 'ts/deno/src/a.ts' })).toMatchObject({ runtime: 'deno', stdout: 'object\n' });
  });

  test('Deno has the allowed permissions and no others', async () => {
    const body = { code: 'console.log(Deno.readTextFileSync("/etc/passwd").length > 10)', runtime: 'deno' };
    const refused = await run(body);
    expect(refused).toMatchObject({ exitCode: 1, stdout: '' });
    expect(refused['stderr']).toMatch(/NotCapable: Requires read access/);
    expect(await run({ ...body, permissions: { read: ['/etc'] } })).toMatchObject({ stdout: 'true\n' });
    expect(await run({ ...body, permissions: { read: ['/tmp'], net: true } })).toMatchObject({ exitCode: 1 });
  });

  const projects = {
    bun: {
      'package.json': '{"packageManager":"bun@1.4.5","dependencies":{"greet":"file:./greet"}}',
      'index.ts': 'import greet from "greet"; const word: string = greet; console.log(word)',
      'greet/package.json': '{"name":"greet","version":"1.0.0","main":"index.js"}',
      'greet/index.js': 'module.exports = "hello"',
    },
    deno: {
      'deno.json': '{"imports":{"greet":"./greet.ts"}}',
      'main.ts': 'import { word } from "greet"; console.log(word)',
      'greet.ts': 'export const word: string = "hello"',
    },
    ruby: {
      Gemfile: 'gem "greet", path: "greet"',
      'main.rb': 'require "greet"; puts WORD',
      'greet/greet.gemspec':
        'Gem::Specification.new { |s| s.name = "greet"; s.version = "1.0"; s.summary = "s"; s.authors = ["a"]; s.files = ["lib/greet.rb"] }',
      'greet/lib/greet.rb': 'WORD = "hello"',
    },
    go: {
      'go.mod': 'module own\ngo 1.24\nrequire example.com/greet v1.0.0\nreplace example.com/greet => ./greet\n',
      'main.go': 'package main\nimport ("fmt"; "example.com/greet")\nfunc main() { fmt.Println(greet.Word) }',
      'greet/go.mod': 'module example.com/greet\ngo 1.24\n',
      'greet/greet.go': 'package greet\nconst Word = "hello"',
    },
    php: {
      'composer.json':
        '{"require":{"own/greet":"*"},"repositories":[{"type":"path","url":"greet"},{"packagist.org":false}]}',
      'main.php': '<?php require "vendor/autoload.php"; echo WORD, "\\n";',
      'greet/composer.json': '{"name":"own/greet","version":"1.0.0","autoload":{"files":["greet.php"]}}',
      'greet/greet.php': '<?php const WORD = "hello";',
    },
    java: {
      'Main.java': 'public class Main { public static void main(String[] a) { System.out.println(Greet.WORD); } }',
      'Greet.java': 'class Greet { static final String WORD = "hello"; }',
    },
    python: {
      'pyproject.toml':
        '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n[project]\nname = "own"\nversion = "1.0"\n[tool.setuptools]\npackages = ["greet"]\n',
      'main.py': 'from greet import word; print(word)',
      'greet/__init__.py': 'word = "hello"',
    },
    lua: { 'greet.lua': 'return "hello"', 'main.lua': 'print((require("greet")))' },
    r: {
      DESCRIPTION: 'Package: own',
      'greet.R': 'word <- "hello"',
      'main.R': 'source("greet.R"); cat(word); cat("\\n")',
    },
  } as const;

  test.each(Object.keys(projects) as (keyof typeof projects)[])(
    'a project of %s is recognized, prepared and run',
    async (runtime) => {
      await write(`projects/${runtime}`, projects[runtime]);
      // To build a package, pip downloads tools and needs a network. Python finds the project's folder anyway.
      const answer = await run({ project: `projects/${runtime}`, install: runtime !== 'python' });
      expect(answer, JSON.stringify(answer)).toMatchObject({ runtime, exitCode: 0, stdout: 'hello\n' });
    },
    110_000,
  );

  test.each(['javascript', 'java', 'go', 'python'])(
    'a program of %s above its memory limit is ended',
    async (language) => {
      const code = {
        javascript: 'const a = []; for (;;) a.push(Buffer.alloc(1 << 20, 1))',
        java: 'class A { public static void main(String[] a) { var l = new java.util.ArrayList<byte[]>(); for (;;) l.add(new byte[1 << 20]); } }',
        go: 'package main\nvar l [][]byte\nfunc main() { for { b := make([]byte, 1<<20); for i := range b { b[i] = 1 }; l = append(l, b) } }',
        python: 'l = []\nwhile True: l.append(b"x" * (1 << 20))',
      }[language];
      const answer = await run({ code, language, memoryMB: 400 });
      expect(answer['exitCode']).not.toBe(0);
      expect(answer['timedOut']).toBe(false);
      expect(answer['peakMemoryBytes']).toBeLessThan(900 * 2 ** 20);
    },
    110_000,
  );
});
