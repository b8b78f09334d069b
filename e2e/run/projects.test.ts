import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Sandbox } from 'e2b';
import { describe, expect, test } from 'vitest';
import { server } from '../harness/server.ts';
import { createSandbox, sharedSandbox } from '../harness/sandbox.ts';
import { runsIn } from './ask-run.ts';

const sandbox = sharedSandbox();
const { run, result, stream } = runsIn(sandbox);

describe('files and projects', () => {
  test('a file is run in its folder', async () => {
    await sandbox().files.write('/home/user/there/tool', '#!/usr/bin/python3\nimport os\nprint(os.getcwd())');
    expect(await result({ file: 'there/tool' })).toMatchObject({ runtime: 'python', stdout: '/home/user/there\n' });
    expect(await result({ file: '/home/user/there/tool', cwd: '/tmp' })).toMatchObject({ stdout: '/tmp\n' });
  });

  test('a project of Node is installed, with a dependency beside it', async () => {
    const files = [
      ['package.json', '{"type":"module","dependencies":{"greet":"file:./greet"},"scripts":{"start":"node go.js"}}'],
      ['go.js', 'import greet from "greet"; console.log(greet, process.argv.slice(2))'],
      ['greet/package.json', '{"name":"greet","version":"1.0.0","main":"index.js"}'],
      ['greet/index.js', 'module.exports = "hello"'],
    ] as const;
    await sandbox().files.write(files.map(([path, data]) => ({ path: `/home/user/app/${path}`, data })));
    const answer = await result({ project: 'app', args: ['a b'] });
    expect(answer).toMatchObject({ runtime: 'node', dependencies: 'installed', stdout: "hello [ 'a b' ]\n" });
    expect(answer['reasons']).toContain('the start script of package.json runs node');
    expect(await result({ project: 'app', entry: 'go.js', install: false })).toMatchObject({
      dependencies: 'skipped',
      stdout: 'hello []\n',
    });
  });

  test('a failed installation returns its output', async () => {
    await sandbox().files.write('/home/user/broken/requirements.txt', '--no-index\nsoulbox-no-such-package==1.0\n');
    await sandbox().files.write('/home/user/broken/main.py', '');
    const { status, json } = await run({ project: 'broken' });
    expect(status).toBe(409);
    expect(json).toMatchObject({
      message: expect.stringMatching(/could not be installed.*soulbox-no-such-package/s) as string,
    });
    const lines = await stream({ project: 'broken' });
    expect(lines[0]).toMatchObject({ type: 'detected', runtime: 'python' });
    expect(lines.some(({ type }) => type === 'log')).toBe(true);
    expect(lines.at(-1)).toMatchObject({ type: 'error', code: 409 });
  });
});

describe('dependencies that sandboxes share', () => {
  const requirements = '--no-index\n--find-links wheels\ngreet==1.0\n';
  const wheel = `
import zipfile, os
os.makedirs("wheels", exist_ok=True)
with zipfile.ZipFile("wheels/greet-1.0-py3-none-any.whl", "w") as z:
    z.writestr("greet.py", "word = 'hello from a wheel'")
    z.writestr("greet-1.0.dist-info/METADATA", "Metadata-Version: 2.1\\nName: greet\\nVersion: 1.0\\n")
    z.writestr("greet-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
    z.writestr("greet-1.0.dist-info/RECORD", "")`;

  async function writeProject(target: Sandbox, withWheel: boolean): Promise<void> {
    await target.files.write('/home/user/p/requirements.txt', requirements);
    await target.files.write('/home/user/p/main.py', 'import greet; print(greet.word)');
    if (withWheel) await result({ code: wheel, language: 'python', cwd: '/home/user/p' }, target.sandboxId);
  }

  async function runProject(target: Sandbox, shareDependencies: boolean): Promise<unknown> {
    const answer = await result({ project: 'p', shareDependencies }, target.sandboxId);
    expect(answer).toMatchObject({ exitCode: 0, stdout: 'hello from a wheel\n' });
    return answer['dependencies'];
  }

  test('are installed once, used by other sandboxes that ask for them, and never used when damaged', async () => {
    const [first, second, third, fourth] = await Promise.all([1, 2, 3, 4].map(async () => await createSandbox()));
    if (!first || !second || !third || !fourth) throw new Error('four sandboxes were made');
    await writeProject(first, true);
    expect(await runProject(first, true)).toBe('installed');
    expect(await runProject(first, true)).toBe('present');

    // It has no wheel, so it runs what the first sandbox stored.
    await writeProject(second, false);
    expect(await runProject(second, true)).toBe('cache');

    // A sandbox that does not ask gets nothing and stores nothing.
    await writeProject(third, true);
    expect(await runProject(third, false)).toBe('installed');

    const directory = join(server.dataDirectory, 'dependencies');
    const kept = await readdir(directory);
    expect(kept).toHaveLength(1);
    const path = join(directory, kept[0] ?? '');
    const bytes = await readFile(path);
    bytes.writeUInt8(bytes.readUInt8(700) ^ 1, 700);
    await writeFile(path, bytes);
    await writeProject(fourth, true);
    expect(await runProject(fourth, true)).toBe('installed');
    expect(await readdir(directory)).not.toEqual(kept);
  });
});
