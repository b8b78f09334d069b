import { describe, expect, test } from 'vitest';
import { answers, createInterpreter, isMade, sharedInterpreter } from '../harness/code-interpreter.ts';
import { until } from '../harness/until.ts';

describe.skipIf(!isMade)('code by @e2b/code-interpreter', () => {
  const sandbox = sharedInterpreter();

  test.each([
    ['python', 'x = 40\nx + 2', '42'],
    ['javascript', 'const x = await Promise.resolve(40); x + 2', '42'],
    ['js', '[1, 2].length', '2'],
    ['typescript', 'const y: number = 40; enum E { Two = 2 }; y + E.Two', '42'],
    ['ts', 'type T = string; const t: T = "typed"; t', 'typed'],
    ['r', 'x <- 40\nx + 2', '[1] 42'],
    ['java', 'int x = 40;\nx + 2', '42'],
  ])('%s returns the value of its last expression', async (language, code, value) => {
    const execution = await sandbox().runCode(code, { language });
    expect(execution.error).toBeUndefined();
    expect(execution.text).toBe(value);
    expect(execution.results).toHaveLength(1);
    expect(execution.results[0]?.isMainResult).toBe(true);
  });

  test.each([
    ['python', 'import sys; print("out ü 世界"); print("err", file=sys.stderr)'],
    ['javascript', 'console.log("out ü 世界"); console.error("err")'],
    ['typescript', 'const s: string = "out ü 世界"; console.log(s); console.error("err")'],
    ['r', 'cat("out ü 世界\\n"); message("err")'],
    ['java', 'System.out.println("out ü 世界"); System.err.println("err");'],
    ['bash', 'echo "out ü 世界"; echo err >&2'],
  ])('%s prints to both outputs while it runs', async (language, code) => {
    const seen: string[] = [];
    const execution = await sandbox().runCode(code, {
      language,
      onStdout: ({ line }) => void seen.push(line),
      onStderr: ({ line }) => void seen.push(line),
    });
    expect(execution.error).toBeUndefined();
    expect(execution.logs.stdout.join('')).toBe('out ü 世界\n');
    // R ends a message with an extra line.
    expect(execution.logs.stderr.join('').trim()).toBe('err');
    expect(seen.toSorted()).toEqual([...execution.logs.stdout, ...execution.logs.stderr].toSorted());
  });

  test.each([
    ['python', 'kept = 7', 'kept', '7'],
    ['javascript', 'let kept = 7; function twice(n) { return n * 2 }', 'twice(kept)', '14'],
    ['typescript', 'let more: number = kept + 1', 'more', '8'],
    ['r', 'kept <- 7', 'kept', '[1] 7'],
    ['java', 'int kept = 7; int twice(int n) { return n * 2; }', 'twice(kept)', '14'],
  ])('%s remembers what ran before', async (language, first, second, value) => {
    expect((await sandbox().runCode(first, { language })).error).toBeUndefined();
    expect((await sandbox().runCode(second, { language })).text).toBe(value);
  });

  test('bash remembers variables, functions and its working directory', async () => {
    await sandbox().runCode('kept=7; f() { echo "f$1"; }; cd /usr', { language: 'bash' });
    const execution = await sandbox().runCode('f $kept; pwd; cat; cd', { language: 'bash' });
    expect(execution.logs.stdout.join('')).toBe('f7\n/usr\n');
  });

  test('javascript can redeclare names, import and require', async () => {
    const language = 'javascript';
    await sandbox().runCode('const again = 1; let other = 2', { language });
    expect((await sandbox().runCode('const again = 3; let other = 4; again + other', { language })).text).toBe('7');
    const code = `import fs, { existsSync as has } from 'node:fs';
import * as path from 'node:path';
const { default: os } = await import('node:os');
export const all = [typeof fs.statSync, has('/'), path.sep, os.EOL, require('node:url').URL.name, import.meta.dirname];
all.join('|')`;
    expect((await sandbox().runCode(code, { language })).text).toBe('function|true|/|\\n|URL|/home/user');
    expect((await sandbox().runCode("require('not-there')", { language })).error?.value).toContain('not-there');
  });

  test.each([
    ['python', 'def f():\n    return 1 / 0\nf()', 'ZeroDivisionError', 'division by zero'],
    ['javascript', 'function f() { throw new TypeError("bad") }; f()', 'TypeError', 'bad'],
    ['javascript', 'this is not javascript', 'SyntaxError', 'Unexpected identifier'],
    ['typescript', 'const x: number =', 'SyntaxError', 'expected'],
    ['r', 'f <- function() stop("bad"); f()', 'ERROR', 'bad'],
    ['java', 'throw new IllegalStateException("bad");', 'java.lang.IllegalStateException', 'bad'],
    ['java', 'int x = ;', 'CompilationException', 'illegal start of expression'],
    ['bash', 'echo before; exit_with() { return 3; }; exit_with', 'ExitCode', '3'],
  ])('%s: an error has a name, a value and no colors: %s', async (language, code, name, value) => {
    let reported: unknown;
    const execution = await sandbox().runCode(code, { language, onError: (error) => void (reported = error) });
    expect(execution.error?.name).toBe(name);
    expect(execution.error?.value).toContain(value);
    expect(execution.error?.traceback).not.toContain('\u001b');
    expect(reported).toEqual(execution.error);
    expect(execution.text).toBeUndefined();
  });

  test("Python's traceback names the lines", async () => {
    const execution = await sandbox().runCode('def f():\n    return 1 / 0\nf()');
    expect(execution.error?.traceback).toContain('----> 2     return 1 / 0');
  });

  test('executions are counted per context', async () => {
    const context = await sandbox().createCodeContext();
    expect((await sandbox().runCode('1', { context })).executionCount).toBe(1);
    expect((await sandbox().runCode('1', { context })).executionCount).toBe(2);
    await sandbox().removeCodeContext(context);
  });

  test('the two default contexts exist, and they share no variables', async () => {
    const contexts = await sandbox().listCodeContexts();
    const languages = contexts.map(({ language }) => language);
    expect(languages).toEqual(expect.arrayContaining(['python', 'javascript']));
    expect(contexts.every(({ cwd }) => cwd === '/home/user')).toBe(true);
    await sandbox().runCode('secret = 1');
    const context = await sandbox().createCodeContext({ cwd: '/tmp' });
    expect(context).toMatchObject({ language: 'python', cwd: '/tmp' });
    expect((await sandbox().runCode('secret', { context })).error?.name).toBe('NameError');
    expect((await sandbox().runCode('import os; os.getcwd()', { context })).text).toBe('/tmp');
    expect((await sandbox().listCodeContexts()).map(({ id }) => id)).toContain(context.id);
    await sandbox().removeCodeContext(context);
    expect((await sandbox().listCodeContexts()).map(({ id }) => id)).not.toContain(context.id);
    const gone = sandbox().runCode('1', { context });
    await expect(gone).rejects.toMatchObject({ name: 'NotFoundError' });
    await expect(gone).rejects.toThrow(`Context ${context.id} not found`);
    await expect(sandbox().removeCodeContext(context)).rejects.toMatchObject({ name: 'NotFoundError' });
    await expect(sandbox().restartCodeContext(context)).rejects.toMatchObject({ name: 'NotFoundError' });
  });

  test.each([
    ['javascript', 'process.cwd()', '/tmp'],
    ['ts', 'process.cwd() as string', '/tmp'],
    ['r', 'getwd()', '[1] "/tmp"'],
    ['java', 'new java.io.File(".").getCanonicalPath()', '/tmp'],
  ])('%s runs in the folder of its context', async (language, code, value) => {
    const context = await sandbox().createCodeContext({ language, cwd: '/tmp' });
    expect((await sandbox().runCode(code, { context })).text).toBe(value);
    await sandbox().removeCodeContext(context);
  });

  test('a restarted context loses its variables and keeps its id and folder', async () => {
    const context = await sandbox().createCodeContext({ cwd: '/tmp' });
    await sandbox().runCode('x = 1', { context });
    await sandbox().restartCodeContext(context);
    expect((await sandbox().runCode('x', { context })).error?.name).toBe('NameError');
    expect((await sandbox().runCode('import os; os.getcwd()', { context })).text).toBe('/tmp');
    await sandbox().removeCodeContext(context);
  });

  test('code of one context runs in sequence, code of two contexts in parallel', async () => {
    const [first, second] = await Promise.all([sandbox().createCodeContext(), sandbox().createCodeContext()]);
    const startedAt = Date.now();
    const slow = sandbox().runCode('import time; time.sleep(3)', { context: second });
    const code = `import time
before = globals().get("seen", 0)
time.sleep(0.1)
seen = before + 1
seen`;
    const texts = await Promise.all(
      [1, 2, 3].map(async () => (await sandbox().runCode(code, { context: first })).text),
    );
    expect(texts.toSorted()).toEqual(['1', '2', '3']);
    expect(Date.now() - startedAt).toBeLessThan(2900);
    await slow;
    await Promise.all([sandbox().removeCodeContext(first), sandbox().removeCodeContext(second)]);
  });

  test('a pause keeps the variables of a context', async () => {
    await sandbox().runCode('before = [1, 2]; import numpy; array = numpy.arange(5)');
    await sandbox().runCode('var before = 5', { language: 'js' });
    await sandbox().runCode('before <- 5', { language: 'r' });
    await sandbox().pause();
    await sandbox().connect();
    expect((await sandbox().runCode('before, int(array.sum())')).text).toBe('([1, 2], 10)');
    expect((await sandbox().runCode('before', { language: 'js' })).text).toBe('5');
    expect((await sandbox().runCode('before', { language: 'r' })).text).toBe('[1] 5');
  });
});

describe.skipIf(!isMade)('variables of code', () => {
  const reading = {
    python: 'import os; print([os.environ.get("GLOBAL"), os.environ.get("CALL")])',
    javascript: 'console.log([process.env.GLOBAL, process.env.CALL])',
    r: 'print(c(Sys.getenv("GLOBAL"), Sys.getenv("CALL")))',
    bash: 'echo "$GLOBAL $CALL"',
    java: 'System.out.println(System.getProperty("GLOBAL") + " " + System.getProperty("CALL"));',
  };

  test('come from the sandbox, and a call can add others for its own duration', async () => {
    const sandbox = await createInterpreter({ GLOBAL: 'g', BOTH: 'global' });
    for (const [language, code] of Object.entries(reading)) {
      const read = async (envs: Record<string, string> = {}) =>
        (await sandbox.runCode(code, { language, envs })).logs.stdout.join('');
      const [before, during, after] = [await read(), await read({ CALL: 'c ü"\'' }), await read()];
      expect(before, language).toMatch(/g/);
      expect(during, language).toMatch(/g.*c ü/);
      expect(after, language).toBe(before);
    }
    const both = async (envs: Record<string, string>) =>
      (await sandbox.runCode('import os; os.environ["BOTH"]', { envs })).text;
    expect([await both({}), await both({ BOTH: 'call' }), await both({})]).toEqual(['global', 'call', 'global']);
    const started = await sandbox.runCode('!echo $GLOBAL $CALL', { envs: { CALL: 'c' } });
    expect(started.logs.stdout.join('').trim()).toBe('g c');
  });
});

describe.skipIf(!isMade)('the processes of the template', () => {
  test('none has the name of a program that is not installed', async () => {
    const { stdout } = await (await createInterpreter()).commands.run('ps -eo args');
    expect(stdout).toContain('/opt/code-interpreter/server.cjs');
    expect(stdout).not.toMatch(/uvicorn|jupyter/);
  });

  test('each is restarted when it is killed, as the guide says', async () => {
    const sandbox = await createInterpreter();
    for (const file of ['[z]ygote.py', '[s]erver.cjs']) {
      await sandbox.runCode('x = 1');
      // The command line of the asking shell contains the same words.
      const find = `pgrep -f '${file}'`;
      const { stdout: pid } = await sandbox.commands.run(find);
      await sandbox.commands.run(`sudo pkill -f '${file}'`);
      await until(
        'another',
        async () => {
          const found = await sandbox.commands.run(find).catch(() => undefined);
          return found !== undefined && found.stdout !== pid && (await answers(sandbox));
        },
        30_000,
      );
      const execution = await until('code that runs', async () => {
        const ran = await sandbox.runCode('globals().get("x", "forgotten")').catch(() => undefined);
        return ran !== undefined && ran.error === undefined ? ran : undefined;
      });
      expect(execution.text).toBe('forgotten');
    }
  });

  test('the next context imports a package that was installed meanwhile, also one that had been preloaded', async () => {
    const sandbox = await createInterpreter();
    const folder = '/usr/local/lib/python3.13/dist-packages/PIL';
    await sandbox.files.write(`${folder}/__init__.py`, "__version__ = 'own'\n", { user: 'root' });
    const version = 'import PIL; PIL.__version__';
    expect((await sandbox.runCode(version)).text).not.toBe('own');
    const contexts = await Promise.all([sandbox.createCodeContext(), sandbox.createCodeContext()]);
    for (const context of contexts) expect((await sandbox.runCode(version, { context })).text).toBe('own');
    const zygotes = await sandbox.commands.run(
      "ps -eo ppid,args | grep '[z]ygote.py' | grep -c \"^ *$(pgrep -f 'node .*/[s]erver.cjs') \"",
    );
    // The first process stays for the kernel that it started.
    expect(zygotes.stdout.trim()).toBe('2');
  });
});
