import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isThere } from '@soulbox/testing/is-there';
import { readConfig } from '../config.ts';
import type { Kernel, Output } from './kernel.ts';
import type { Language } from './languages.ts';
import { createKernelStarter } from './languages.ts';

const config = readConfig(['--home', '/tmp'], join(import.meta.dirname, '../main.ts'));
const succeeds = (command: string, ...args: string[]): boolean => spawnSync(command, args).status === 0;
function javaMajor(): number {
  const { stdout } = spawnSync(config.programs.java, ['--version'], { encoding: 'utf8' });
  return Number(/^\S+ (\d+)/.exec(stdout)?.[1] ?? 0);
}
const isInstalled: Readonly<Record<Language, boolean>> = {
  python: isThere(
    'python3-ipykernel with python3-matplotlib',
    succeeds(config.programs.python, '-c', 'import ipykernel, matplotlib'),
  ),
  javascript: true,
  bash: existsSync(config.programs.bash),
  r: succeeds(config.programs.r, '--slave', '-e', 'library(IRkernel)'),
  // Of the version that the template has: JShell of Java 17 stops code in the middle of our own streams.
  java: succeeds(config.programs.java, '--list-modules') && javaMajor() >= 21,
};
const missing = Object.entries(isInstalled).flatMap(([language, is]) => (is ? [] : [language]));
// The reporter shows no reasons.
// oxlint-disable-next-line no-console -- in a test
if (missing.length > 0) console.log(`kernels.test.ts: skipped, not installed on this host: ${missing.join(', ')}`);

interface Words {
  readonly language: Language;
  /** Sets n to 7 and prints "out". */
  readonly first: string;
  /** Returns or prints n. */
  readonly second: string;
  readonly endless: string;
  readonly printing: string;
  readonly fail: string;
  /** Prints the variable CALL. */
  readonly variable: string;
}

const cases: readonly Words[] = [
  {
    language: 'python',
    first: 'n = 7; print("out")',
    second: 'print(n)',
    endless: 'while True: pass',
    printing: 'while True: print("x" * 1000)',
    fail: '1/0',
    variable: 'import os; print(os.environ.get("CALL"))',
  },
  {
    language: 'javascript',
    first: 'const n = 7; console.log("out")',
    second: 'console.log(n)',
    endless: 'while (true) {}',
    printing: 'while (true) console.log("x".repeat(1000))',
    fail: 'throw new Error("x")',
    variable: 'console.log(process.env.CALL)',
  },
  {
    language: 'bash',
    first: 'n=7; echo out',
    second: 'echo $n',
    endless: 'while :; do :; done',
    printing: 'yes',
    fail: 'false',
    variable: 'echo $CALL',
  },
  {
    language: 'r',
    first: 'n <- 7; cat("out\\n")',
    second: 'cat(n)',
    endless: 'while (TRUE) {}',
    printing: 'while (TRUE) cat(strrep("x", 1000))',
    fail: 'stop("x")',
    variable: 'cat(Sys.getenv("CALL"))',
  },
  {
    language: 'java',
    first: 'int n = 7; System.out.println("out");',
    second: 'System.out.println(n);',
    endless: 'while (true) {}',
    printing: 'while (true) { System.out.println("x".repeat(1000)); }',
    fail: 'throw new Exception("x");',
    variable: 'System.out.println(System.getProperty("CALL"));',
  },
];

describe.each(cases.filter(({ language }) => isInstalled[language]))('the kernel of $language', (words) => {
  const start = createKernelStarter(config);
  let kernel: Kernel;
  beforeAll(async () => {
    kernel = await start(words.language, { cwd: '/tmp', variables: {} });
  });
  afterAll(async () => {
    await kernel[Symbol.asyncDispose]();
  });
  const run = async (code: string): Promise<Output[]> => {
    const outputs: Output[] = [];
    await kernel.execute(
      code,
      (output) => {
        outputs.push(output);
        return undefined;
      },
      { isTypescript: false },
    );
    return outputs;
  };
  const printed = async (code: string): Promise<string> =>
    (await run(code)).flatMap((output) => (output.type === 'stdout' ? [output.text] : [])).join('');

  test('counts executions, prints, and keeps its state', async () => {
    expect((await run(words.first))[0]).toEqual({ type: 'started', executionCount: 1 });
    expect(await printed(words.first)).toBe('out\n');
    expect((await printed(words.second)).trim()).toBe('7');
  });

  test('reports an error', async () => {
    expect((await run(words.fail)).map(({ type }) => type)).toContain('error');
  });

  test('sets and removes variables', async () => {
    await kernel.setVariables({ CALL: 'ü "\' $x' });
    expect(await printed(words.variable)).toContain('ü "\' $x');
    await kernel.setVariables({ CALL: null });
    expect(await printed(words.variable)).not.toContain('$x');
  });

  test('is interrupted in the middle of a loop and keeps its state', async () => {
    const running = run(words.endless);
    setTimeout(() => kernel.interrupt(), 300);
    await running;
    expect((await printed(words.second)).trim()).toBe('7');
  });

  // It may come at any point of a write, and find the output full.
  test('is interrupted while it prints to a reader that is behind, and later output arrives', async () => {
    for (let round = 0; round < 25; round += 1) {
      let chars = 0;
      let catchUp = (): void => undefined;
      const behind = new Promise<void>((resolve) => (catchUp = resolve));
      const take = (output: Output): Promise<void> | undefined => {
        if (output.type === 'stdout') chars += output.text.length;
        return chars > 300_000 ? behind : undefined;
      };
      const running = kernel.execute(words.printing, take, { isTypescript: false });
      await expect.poll(() => chars, { interval: 5, timeout: 10_000 }).toBeGreaterThan(0);
      await sleep(Math.random() * 40);
      kernel.interrupt();
      await sleep(Math.random() * 200);
      catchUp();
      await running;
      expect((await printed(words.second)).trim()).toBe('7');
    }
  });

  // ipykernel collects output into messages.
  test.runIf(words.language === 'python')('prints more at once than one message may have', async () => {
    const wanted = 100_000_000;
    let chars = 0;
    const take = (output: Output): undefined => {
      if (output.type === 'stdout') chars += output.text.length;
    };
    await kernel.execute(`print("x" * ${wanted})`, take, { isTypescript: false });
    expect(chars).toBe(wanted + 1);
    expect((await printed(words.second)).trim()).toBe('7');
  });

  test('an interrupt does nothing while no code runs', async () => {
    kernel.interrupt();
    expect((await printed(words.second)).trim()).toBe('7');
  });

  test('its end is an error for current and later callers', async () => {
    const other = await start(words.language, { cwd: '/tmp', variables: {} });
    const running = other.execute(words.endless, () => undefined, { isTypescript: false });
    setTimeout(() => void other[Symbol.asyncDispose](), 200);
    await expect(running).rejects.toThrow();
    await expect(other.execute(words.second, () => undefined, { isTypescript: false })).rejects.toThrow();
    expect(await other.ended).toMatch(/killed by SIGKILL/);
  });
});
