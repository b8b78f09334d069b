import { setTimeout as sleep } from 'node:timers/promises';
import type { Sandbox } from '@e2b/code-interpreter';
import { describe, expect, onTestFinished, test } from 'vitest';
import { createInterpreter, isMade, sharedInterpreter } from '../harness/code-interpreter.ts';
import { ask, askApi, routes } from '../harness/http.ts';
import { until } from '../harness/until.ts';

describe.skipIf(!isMade)('code that behaves badly', () => {
  const sandbox = sharedInterpreter();
  const languages = ['python', 'javascript', 'r', 'java', 'bash'];
  const endless: Record<string, string> = {
    python: 'while True: pass',
    javascript: 'while (true) {}',
    r: 'while (TRUE) {}',
    java: 'while (true) {}',
    bash: 'while true; do :; done',
  };
  const alive: Record<string, string> = {
    python: 'print("alive")',
    javascript: 'console.log("alive")',
    r: 'cat("alive\\n")',
    java: 'System.out.println("alive");',
    bash: 'echo alive',
  };
  const isAlive = async (language: string, where: Sandbox = sandbox()): Promise<void> => {
    const { logs, error } = await where.runCode(alive[language] ?? '', { language });
    expect(error).toBeUndefined();
    expect(logs.stdout.join('')).toBe('alive\n');
  };

  test.each(languages)(
    'endless %s is interrupted when its client gives up, and its context keeps its variables',
    async (language) => {
      const code = endless[language] ?? '';
      await isAlive(language);
      await expect(sandbox().runCode(code, { language, timeoutMs: 400 })).rejects.toThrow(/timed out/i);
      await isAlive(language);
    },
  );

  test.each([
    ['python', 'import os; os._exit(3)', 'exited with 3'],
    ['python', 'import os, signal; os.kill(os.getpid(), signal.SIGKILL)', 'SIGKILL'],
    ['javascript', 'process.exit(3)', 'exited with 3'],
    ['r', 'q(status = 3)', ''],
    ['java', 'System.exit(3);', 'exited with 3'],
    ['bash', 'exit 3', 'exited with 3'],
  ])('%s that ends its kernel gets an error, and its context restarts: %s', async (language, code, how) => {
    const { error } = await sandbox().runCode(code, { language });
    // R's kernel handles its own termination.
    if (language !== 'r') {
      expect(error?.name).toBe('UnexpectedEndOfExecution');
      expect(error?.value).toContain(how);
    }
    await isAlive(language);
  });

  test.each([
    ['python', 'while True: print("x" * 1000)'],
    ['javascript', 'while (true) console.log("x".repeat(1000))'],
    ['bash', 'yes'],
    ['java', 'while (true) { System.out.println("x".repeat(1000)); }'],
  ])(
    '%s that prints endlessly to a client that does not read is blocked, and its output is not kept in memory',
    async (language, code) => {
      const memory = async (): Promise<number> =>
        Number((await sandbox().commands.run("ps -o rss= -p $(pgrep -f 'node .*/[s]erver.cjs')")).stdout) / 1024;
      await isAlive(language);
      const before = await memory();
      const gone = new AbortController();
      // Code that is still read would hold up every later test of its language.
      onTestFinished(() => gone.abort());
      const { port } = new URL(process.env['E2B_SANDBOX_URL'] ?? '');
      const response = await fetch(`http://127.0.0.1:${port}/execute`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...routes.headers(sandbox().sandboxId, 49999) },
        body: JSON.stringify({ code, language }),
        signal: gone.signal,
      });
      expect(response.status).toBe(200);
      // The buffers on the way fill first, which takes some seconds on a busy machine.
      const grown: number[] = [];
      await expect
        .poll(
          async () => {
            grown.unshift((await memory()) - before);
            return Math.abs((grown[0] ?? 0) - (grown[1] ?? -Infinity));
          },
          { interval: 1000, timeout: 20_000 },
        )
        .toBeLessThan(5);
      expect(grown[0]).toBeLessThan(400);
      gone.abort();
      await isAlive(language);
    },
  );

  test('output that is faster than its reader arrives completely', async () => {
    const { logs, error } = await sandbox().runCode('for i in range(200_000): print(i)');
    expect(error).toBeUndefined();
    const lines = logs.stdout.join('').split('\n');
    expect(lines).toHaveLength(200_001);
    expect(lines[199_999]).toBe('199999');
  });

  test('a thousand results arrive in order', async () => {
    const { results } = await sandbox().runCode('for i in range(1000): display(i)');
    expect(results.map(({ text }) => Number(text))).toEqual(Array.from({ length: 1000 }, (_, at) => at));
  });

  test('one output of more than 64 MiB ends the kernel with an error', async () => {
    const { error } = await sandbox().runCode('display({"text/plain": "x" * (70 * 1024 * 1024)}, raw=True)');
    expect(error).toMatchObject({ name: 'UnexpectedEndOfExecution' });
    expect(error?.value).toContain('64 MiB');
    await isAlive('python');
  });

  test('running code gets an error when its context is restarted or removed, and waiting code runs after a restart', async () => {
    const context = await sandbox().createCodeContext();
    const running = sandbox().runCode('import time; time.sleep(60)', { context });
    const waiting = sandbox().runCode('"after"', { context });
    await sleep(300);
    await sandbox().restartCodeContext(context);
    expect((await running).error?.name).toBe('ContextRestarting');
    expect((await waiting).text).toBe('after');
    const last = sandbox().runCode('import time; time.sleep(60)', { context });
    await sleep(300);
    await sandbox().removeCodeContext(context);
    expect((await last).error?.name).toBe('ExecutionAborted');
  });

  test('code that asks for input fails instead of waiting', async () => {
    expect((await sandbox().runCode('input("name? ")')).error?.name).toBe('StdinNotImplementedError');
  });

  test('code that forks endlessly ends with its context', async () => {
    const own = await createInterpreter();
    const context = await own.createCodeContext({ language: 'bash' });
    const bomb = own.runCode('f() { f | f & }; f; sleep 60', { context, timeoutMs: 1000 });
    await expect(bomb).rejects.toThrow(/timed out/i);
    // All processes are in the process group of the kernel, which is killed as a whole. A bomb may also end the server
    // of the contexts, for lack of memory or processes. It is started again, and has forgotten the context.
    const remove = async (): Promise<string> =>
      await own.removeCodeContext(context).then(
        () => 'removed',
        (error: unknown) => String(error),
      );
    await expect.poll(remove, { timeout: 15_000 }).toMatch(/removed|not found/);
    const said = await own.runCode('1+1', { timeoutMs: 20_000 }).then(
      ({ text }) => text,
      // If the sandbox has ended, the API knows why.
      async (error: unknown) =>
        `${String(error)} ${JSON.stringify((await askApi('GET', `/sandboxes/${own.sandboxId}`)).json)}`,
    );
    expect(said).toBe('2');
    // Those that were killed still have to end, within the processor time of the sandbox, and are counted until then.
    await until('the end of all processes', async () => {
      const left = await own.commands.run('pgrep -c bash || true');
      return Number(left.stdout) < 10;
    });
  });

  describe('requests', () => {
    const post = async (path: string, body: string) =>
      await ask({
        method: 'POST',
        path,
        headers: { 'content-type': 'application/json', ...routes.headers(sandbox().sandboxId, 49999) },
        body,
      });

    test.each([
      ['no JSON', '/execute', '{"code": ', 400, 'not JSON'],
      ['no object', '/execute', '[1]', 400, 'not a JSON object'],
      ['no code', '/execute', '{}', 400, 'code is missing'],
      ['code that is no text', '/execute', '{"code": 1}', 400, 'code is not a text'],
      [
        'context and language',
        '/execute',
        '{"code": "1", "context_id": "x", "language": "python"}',
        400,
        'Only one of',
      ],
      ['an unknown context', '/execute', '{"code": "1", "context_id": "x"}', 404, 'Context x not found'],
      ['an unknown language', '/execute', '{"code": "1", "language": "cobol"}', 400, 'cobol is not one of'],
      [
        'variables that are no texts',
        '/execute',
        '{"code": "1", "env_vars": {"A": 1}}',
        400,
        'env_vars.A is not a text',
      ],
      [
        'a bad name of a variable',
        '/execute',
        '{"code": "1", "env_vars": {"A=B": "1"}}',
        400,
        'no environment can hold',
      ],
      ['a context in an unknown language', '/contexts', '{"language": "cobol"}', 400, 'cobol'],
      [
        'a context in a folder that is not there',
        '/contexts',
        '{"cwd": "/not/there"}',
        500,
        '/not/there does not exist',
      ],
      ['another path', '/execute/more/parts', '{}', 404, '/execute/more/parts'],
    ])('%s', async (_what, path, body, status, text) => {
      const answer = await post(path, body);
      expect(answer.status).toBe(status);
      expect(answer.body).toContain(text);
    });

    test('more than 16 MiB are refused, 10 MiB of code run', async () => {
      expect(
        (await post('/execute', JSON.stringify({ code: '#'.repeat(17 * 1024 * 1024) })).catch(() => ({ status: 413 })))
          .status,
      ).toBe(413);
      const { text } = await sandbox().runCode(`"""${'x'.repeat(10 * 1024 * 1024)}"""[0]`);
      expect(text).toBe('x');
    });

    test('keep-alives fill silence, and the execution number comes first', async () => {
      const { body } = await post('/execute', JSON.stringify({ code: 'import time; time.sleep(6); "ü"' }));
      const lines = body
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as Record<string, unknown>);
      expect(lines.map(({ type }) => type)).toEqual([
        'number_of_executions',
        'keepalive',
        'result',
        'end_of_execution',
      ]);
      // Escaped, because clients decode each chunk separately.
      expect(body).toContain('\\u00fc');
    });
  });
});
