import { describe, expect, test } from 'vitest';
import { askApi } from '../harness/http.ts';
import { createSandbox, sharedSandbox } from '../harness/sandbox.ts';
import { until } from '../harness/until.ts';
import { runsIn } from './ask-run.ts';

const sandbox = sharedSandbox();
const { run, result, stream } = runsIn(sandbox);

describe('code', () => {
  test('prints hello, and the result has its time and memory', async () => {
    const answer = await result({ code: 'print("hello")', language: 'python' });
    expect(answer).toMatchObject({
      runtime: 'python',
      language: 'python',
      exitCode: 0,
      signal: null,
      timedOut: false,
      memoryExceeded: false,
      stdout: 'hello\n',
      stderr: '',
      stdoutTruncated: false,
      dependencies: 'none',
    });
    const { executeMs } = answer['timings'] as Record<string, number>;
    expect(executeMs).toBeGreaterThan(1);
    expect(answer['peakMemoryBytes']).toBeGreaterThan(4e6);
    expect(answer['peakMemoryBytes']).toBeLessThan(40e6);
  });

  test('is recognized by its first line', async () => {
    expect(await result({ code: '#!/usr/bin/env node\nconsole.log(typeof Deno)' })).toMatchObject({
      runtime: 'node',
      reasons: ['the first line names node'],
      stdout: 'undefined\n',
    });
  });

  test('gets its arguments, input and variables unchanged', async () => {
    const code = 'import sys, os\nprint(sys.argv[1:], sys.stdin.read(), os.environ["NAME"])';
    const args = ['a  b', '$(id)', '--flag', '', 'ü'];
    const answer = await result({ code, language: 'python', args, stdin: 'in\nput', envVars: { NAME: "'quoted' $X" } });
    expect(answer['stdout']).toBe(`['a  b', '$(id)', '--flag', '', 'ü'] in\nput 'quoted' $X\n`);
  });

  test('has no input when none is given', async () => {
    expect(await result({ code: 'wc -c', language: 'bash' })).toMatchObject({ stdout: '0\n' });
  });

  test('that fails returns its exit code and output', async () => {
    const answer = await result({ code: 'import sys\nsys.stderr.write("bad\\n")\nsys.exit(3)', language: 'python' });
    expect(answer).toMatchObject({ exitCode: 3, signal: null, stdout: '', stderr: 'bad\n' });
    expect(await result({ code: 'kill -SEGV $$', language: 'bash' })).toMatchObject({
      exitCode: null,
      signal: 'SIGSEGV',
    });
  });

  test('finds the modules of its folder and leaves nothing there', async () => {
    await sandbox().files.write('/home/user/code/own.py', 'word = "mine"');
    await sandbox().files.write('/home/user/code/node_modules/own/index.js', 'module.exports = "mine"');
    const cwd = '/home/user/code';
    expect(await result({ code: 'import own; print(own.word)', language: 'python', cwd })).toMatchObject({
      stdout: 'mine\n',
    });
    expect(await result({ code: 'console.log(require("own"))', language: 'javascript', cwd })).toMatchObject({
      stdout: 'mine\n',
    });
    const left = (await sandbox().files.list(cwd)).map(({ name }) => name);
    expect(left.filter((name) => !['own.py', 'node_modules', '__pycache__'].includes(name))).toEqual([]);
    expect((await sandbox().commands.run('ls -A /tmp | grep -c soulbox || true')).stdout).toBe('0\n');
  });

  test('runs as the requested user', async () => {
    expect(await result({ code: 'id -un; pwd', language: 'bash', user: 'root', cwd: '/' })).toMatchObject({
      stdout: 'root\n/\n',
    });
  });
});

describe('limits', () => {
  test('a program is killed at its time limit, and its output is returned', async () => {
    const startedAt = Date.now();
    const code = 'echo before; sleep 61 & sleep 62';
    expect(await result({ code, language: 'bash', timeout: 0.5 })).toMatchObject({
      exitCode: null,
      signal: 'SIGKILL',
      timedOut: true,
      stdout: 'before\n',
    });
    expect(Date.now() - startedAt).toBeLessThan(10_000);
    expect((await sandbox().commands.run('pgrep -c sleep || true')).stdout).toBe('0\n');
  });

  test('a program above its memory limit is killed, and one below it is not', async () => {
    const code = (mb: number) => `x = b"x" * (${mb} << 20)\nimport time; time.sleep(0.5); print("done")`;
    expect(await result({ code: code(300), language: 'python', memoryMB: 100 })).toMatchObject({
      signal: 'SIGKILL',
      memoryExceeded: true,
      stdout: '',
    });
    expect(await result({ code: code(30), language: 'python', memoryMB: 100 })).toMatchObject({
      exitCode: 0,
      memoryExceeded: false,
      stdout: 'done\n',
    });
  });

  test('excess output is discarded, and the program continues', async () => {
    const code = 'import sys\nprint("x" * 3000000)\nsys.stderr.write("e" * 10)\nsys.exit(4)';
    expect(await result({ code, language: 'python', outputLimit: 20 })).toMatchObject({
      exitCode: 4,
      stdout: 'x'.repeat(20),
      stdoutTruncated: true,
      stderr: 'e'.repeat(10),
      stderrTruncated: false,
    });
  });

  test('processes that a program leaves behind are ended with it', async () => {
    expect(await result({ code: 'sleep 63 & echo done', language: 'bash' })).toMatchObject({ stdout: 'done\n' });
    expect((await sandbox().commands.run('pgrep -c sleep || true')).stdout).toBe('0\n');
  });
});

describe('a streamed answer', () => {
  test('delivers output as it is printed, then the result', async () => {
    const seen: { line: Record<string, unknown>; at: number }[] = [];
    const code = 'echo one; sleep 0.6; echo zwei ü >&2; exit 2';
    const lines = await stream({ code, language: 'bash' }, { onLine: (line) => seen.push({ line, at: Date.now() }) });
    expect(lines.map(({ type }) => type)).toEqual(['detected', 'started', 'stdout', 'stderr', 'result']);
    expect(lines[2]).toEqual({ type: 'stdout', data: 'one\n' });
    expect(lines[3]).toEqual({ type: 'stderr', data: 'zwei ü\n' });
    expect(lines[4]).toMatchObject({ type: 'result', exitCode: 2, timedOut: false });
    expect((seen[3]?.at ?? 0) - (seen[2]?.at ?? 0)).toBeGreaterThan(300);
  });

  test('delivers any bytes, as base64', async () => {
    const code = 'import sys\nsys.stdout.buffer.write(bytes(range(256)))';
    const lines = await stream({ code, language: 'python', encoding: 'base64' });
    const parts = lines
      .filter(({ type }) => type === 'stdout')
      .map(({ data }) => Buffer.from(data as string, 'base64'));
    expect(Buffer.concat(parts)).toEqual(Buffer.from(Array.from({ length: 256 }, (_, index) => index)));
  });

  test('accepts input by pid while the program runs', async () => {
    const code = 'read line; echo "got $line"';
    const lines = await stream(
      { code, language: 'bash', stdinOpen: true },
      {
        onLine: ({ type, pid }) => {
          if (type === 'started') void sandbox().commands.sendStdin(pid as number, 'this\n');
        },
      },
    );
    expect(lines.find(({ type }) => type === 'stdout')).toEqual({ type: 'stdout', data: 'got this\n' });
  });

  test('ends the program when its client disconnects', async () => {
    const leaving = new AbortController();
    const streamed = stream(
      { code: 'echo $$; exec sleep 6543', language: 'bash' },
      { signal: leaving.signal, onLine: ({ type }) => type === 'stdout' && leaving.abort() },
    );
    await expect(streamed).rejects.toThrow(/abort/i);
    await until('its end', async () => {
      const { stdout } = await sandbox().commands.run('pgrep -fx "sleep 6543" || echo none');
      return stdout === 'none\n';
    });
  });
});

describe('an invalid run is refused with a helpful message', () => {
  test.each([
    [{ code: 'hello' }, 400, /from the first line of the code\. Specify the language/],
    [{ code: '' }, 400, /No runtime could be detected/],
    [{ file: '/etc/hostname' }, 400, /from the name "hostname" and the first line/],
    [{ project: '/etc/apt' }, 400, /the folder that contains .*sources.list.d/],
    [{ code: 'x', language: 'cobol' }, 400, /language/],
    [{ code: 'x', runtime: 'cobol' }, 400, /runtime/],
    [{ code: 'x', language: 'ruby', runtime: 'python' }, 400, /python does not support ruby/],
    [{ code: 'puts 1', language: 'ruby' }, 409, /cannot run ruby: it needs ruby.*Template "runtimes" has it/],
    [{ code: 'let a: number', language: 'typescript' }, 409, /needs node 22.18 or later or bun or deno.*has node 2/],
    [{ code: 'fn main() {}', language: 'rust' }, 400, /rust runs projects only/],
    [{ file: '/no/such' }, 404, /does not exist/],
    [{ file: '/etc' }, 400, /is a folder\. Run it as a project/],
    [{ file: '/dev/null' }, 400, /not a regular file/],
    [{ project: '/etc/passwd' }, 400, /not a folder/],
    [{ project: '/no/such' }, 404, /does not exist/],
    [{ project: '/home/user', entry: '../../etc/passwd' }, 400, /outside the project/],
    [{ project: '/home/user', entry: 'no-such.py' }, 404, /does not exist/],
    [{ code: 'true', language: 'bash', cwd: '/no/such' }, 404, /does not exist/],
    [{ code: 'true', language: 'bash', user: 'nobody-knows' }, 401, /user/],
    [{ code: 'x', language: 'python', permissions: { net: true } }, 400, /Only Deno supports permissions/],
    [{ code: 'x', language: 'javascript', runtime: 'deno', permissions: { net: ['a,b'] } }, 400, /permissions/],
    [{ code: 'x', language: 'python', permissions: { everything: true } }, 400, /permissions/],
    [{}, 400, /Exactly one of code, file and project/],
    [{ code: 'x', file: 'y' }, 400, /Exactly one/],
    [{ code: 'x', language: 'python', entry: 'a' }, 400, /entry requires project/],
    [{ code: 'x'.repeat(600 * 1024), language: 'python' }, 400, /larger than 524288 bytes/],
    [{ code: 'x'.repeat(1100 * 1024), language: 'python' }, 413, /1048576 bytes/],
    [{ code: 'a\0b', language: 'python' }, 400, /NUL/],
    [{ code: 'x', language: 'python', args: ['x'.repeat(200_000)] }, 400, /larger than/],
    [{ code: 'x', language: 'python', envVars: { 'A=B': '1' } }, 400, /=/],
    [{ code: 'x', language: 'python', timeout: 0 }, 400, /timeout/],
    [{ code: 'x', language: 'python', timeout: 3600 }, 400, /streamed/],
    [{ code: 'x', language: 'python', stdinOpen: true }, 400, /streamed/],
    [{ code: 'x', language: 'python', memoryMB: 1 }, 400, /memoryMB/],
    [{ code: 'x', language: 'python', surprise: 1 }, 400, /surprise/],
  ])('%j', async (body, status, message) => {
    const answer = await run(body);
    expect(answer.status, JSON.stringify(answer.json)).toBe(status);
    expect(answer.json).toMatchObject({ code: status, message: expect.stringMatching(message) as string });
  });

  test('a sandbox that is paused, killed, foreign or malformed', async () => {
    const body = { code: 'true', language: 'bash' };
    const other = await createSandbox();
    await other.pause();
    expect((await run(body, other.sandboxId)).status).toBe(409);
    await other.kill();
    expect((await run(body, other.sandboxId)).status).toBe(404);
    expect((await run(body, 'i00000000000000000000')).status).toBe(404);
    expect((await run(body, 'not..an..id')).status).toBe(404);
    const keyless = await askApi('POST', `/sandboxes/${sandbox().sandboxId}/run`, body, { 'x-api-key': 'e2b_wrong' });
    expect(keyless.status).toBe(401);
  });

  test('a sandbox that is killed or paused during a run ends it with the reason', async () => {
    for (const [act, status] of [
      ['kill', 404],
      ['pause', 409],
    ] as const) {
      const other = await createSandbox();
      const running = run({ code: 'touch begun; sleep 30', language: 'bash' }, other.sandboxId);
      await until('the start', async () => await other.files.exists('begun'));
      await other[act]();
      expect((await running).status).toBe(status);
    }
  });

  test('a run resumes a paused sandbox that resumes automatically', async () => {
    const other = await createSandbox({ lifecycle: { onTimeout: 'pause', autoResume: true } });
    await other.pause();
    expect(await result({ code: 'echo awake', language: 'bash' }, other.sandboxId)).toMatchObject({
      stdout: 'awake\n',
    });
  });
});
