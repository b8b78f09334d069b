import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { removeTree } from '@soulbox/base';
import { nodeProgram } from '@soulbox/testing';
import { Sandbox } from 'e2b';
import { afterAll, expect, test } from 'vitest';
import { runNode } from '../harness/cli.ts';
import type { Output } from '../harness/cli.ts';
import { useOwnTeam } from '../harness/own-team.ts';
import { createSandbox } from '../harness/sandbox.ts';
import { server } from '../harness/server.ts';

const cliMain = join(import.meta.dirname, '../../apps/cli/src/main.ts');
const environment = { ...server.plain, E2B_API_KEY: await useOwnTeam('run') };
const folder = await mkdtemp(join(tmpdir(), 'soulbox-run-cli-'));
afterAll(async () => await removeTree(folder));

/** Runs `soulbox run ...` against the server of the tests, which it finds as any client does. */
async function run(args: readonly string[], input = ''): Promise<Output> {
  return await runNode([cliMain, 'run', ...args], environment, input);
}

async function write(name: string, text: string): Promise<string> {
  const path = join(folder, name);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, text);
  return path;
}

async function countSandboxes(): Promise<number> {
  return (await Sandbox.list().nextItems()).length;
}

test('a file runs with its arguments, variables and input, and its exit code is passed on', async () => {
  const before = await countSandboxes();
  const path = await write(
    'a.py',
    'import sys, os\nprint(sys.argv[1:], os.environ["A"], sys.stdin.read())\nsys.exit(5)',
  );
  const ran = await run([path, 'x', '--env', 'A=1=2', '--env', 'B=', '--', '--flag', 'y z'], 'in\nput');
  expect(ran).toEqual({ code: 5, stdout: "['x', '--flag', 'y z'] 1=2 in\nput\n", stderr: '' });
  expect(await countSandboxes()).toBe(before);
});

test('a folder is copied without files that do not belong there, and links are not followed', async () => {
  await write('p/package.json', '{"type":"module","dependencies":{"greet":"file:./greet"}}');
  await write(
    'p/index.js',
    'import g from "greet"; import fs from "fs"; console.log(g, fs.readdirSync(".").sort().join())',
  );
  await write('p/greet/package.json', '{"name":"greet","version":"1.0.0","main":"i.js"}');
  await write('p/greet/i.js', 'module.exports = "hello"');
  await write('p/.git/config', 'x');
  await write('p/node_modules/old/index.js', 'x');
  await symlink('/etc/passwd', join(folder, 'p/link'));
  const { code, stdout } = await run([join(folder, 'p')]);
  expect(code).toBe(0);
  expect(stdout).toMatch(/^hello (?!.*(\.git|link)).*index\.js,node_modules,/);
});

test('a reader that closes the output ends the program and its sandbox', async () => {
  const before = await countSandboxes();
  const path = await write('endless.py', 'while True: print("x" * 1000)');
  const command = `"$0" "$1" run "$2" | head -c 3000 | wc -c; echo "\${PIPESTATUS[0]}"`;
  const { stdout } = await promisify(execFile)('bash', ['-c', command, nodeProgram, cliMain, path], {
    env: { PATH: process.env['PATH'], ...environment },
    timeout: 50_000,
  });
  expect(stdout).toBe('3000\n141\n');
  expect(await countSandboxes()).toBe(before);
});

test('- reads the code from standard input', async () => {
  const code = 'console.log(process.argv.slice(2).join("+"))';
  expect(await run(['-', '--language', 'javascript', '1', '2'], code)).toMatchObject({ code: 0, stdout: '1+2\n' });
});

test('any bytes pass intact in both directions', async () => {
  const path = await write('cat.sh', 'cat');
  const text = Array.from({ length: 5000 }, (_, index) => `zeile ${index} ü 世界\n`).join('');
  expect((await run([path], text)).stdout).toBe(text);
});

test('message and exit code say why a program was killed', async () => {
  const sleeper = await write('sleep.sh', 'echo before; sleep 50');
  expect(await run([sleeper, '--timeout', '1'])).toMatchObject({
    code: 124,
    stdout: 'before\n',
    stderr: expect.stringMatching(/time limit/) as string,
  });
  const eater = await write('eat.py', 'x = b"x" * (300 << 20)\nimport time; time.sleep(5)');
  expect(await run([eater, '--memory', '64'])).toMatchObject({
    code: 137,
    stderr: expect.stringMatching(/memory limit/) as string,
  });
});

test('a named sandbox stays, and --json prints the whole result', async () => {
  const sandbox = await createSandbox();
  await sandbox.files.write('/home/user/mark', 'here');
  const path = await write('look.sh', 'cat ~/mark');
  const { code, stdout } = await run([path, '--sandbox', sandbox.sandboxId, '--json']);
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ runtime: 'bash', exitCode: 0, stdout: 'here' });
  expect(await sandbox.isRunning()).toBe(true);
});

test.each([
  [['no-such-file'], 2, /does not exist/],
  [['/dev/null'], 2, /neither a file nor a folder/],
  [['-', '--entry', 'x'], 2, /--entry requires a folder/],
  [['-', '--language', 'cobol'], 2, /--language must be/],
  [['-', '--env', 'novalue'], 2, /NAME=VALUE/],
  [['-', '--allow', 'everything'], 2, /--allow must start with/],
  [['-', '--memory', '1'], 2, /--memory/],
  [['-', '--sandbox', 'a', '--template', 'b'], 2, /cannot be used together/],
  [['-', '--surprise'], 2, /surprise/],
  [[], 2, /TARGET/],
  [['-', '--sandbox', 'i00000000000000000000', '--language', 'bash'], 1, /not found/],
  [['-'], 1, /Specify the language/],
] as const)('soulbox run %j is refused with words that help', async (args, code, message) => {
  const ran = await run(args);
  expect(ran.stderr).toMatch(message);
  expect(ran.code).toBe(code);
});
