import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { shellQuote } from '../output/shell-quote.ts';

export interface CliResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

const launcher = join(import.meta.dirname, '../../bin/soulbox.mjs');

/** Runs the real CLI, including its launcher, as a user would. It does not see the settings of this process. */
export async function runCli(
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<CliResult> {
  return await runProgram(process.execPath, [launcher, ...args], environment);
}

/** The same at a terminal. Lines end with CR LF, and the output includes the errors. */
export async function runCliAtTerminal(
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<CliResult> {
  const command = [process.execPath, launcher, ...args].map(shellQuote).join(' ');
  return await runProgram('script', ['--quiet', '--return', '--command', command, '/dev/null'], environment);
}

/** The same as root without capabilities, who can only read files of root and files that everybody can read. */
export async function runCliPowerless(args: readonly string[]): Promise<CliResult> {
  const powerless = ['--bounding-set', '-all', '--inh-caps', '-all', '--ambient-caps', '-all'];
  return await runProgram('setpriv', [...powerless, process.execPath, launcher, ...args], {});
}

async function runProgram(
  program: string,
  args: readonly string[],
  environment: Readonly<Record<string, string>>,
): Promise<CliResult> {
  const child = spawn(program, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env['PATH'], HOME: process.env['HOME'], ...environment },
  });
  const [stdout, stderr, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'exit') as Promise<[number | null]>,
  ]);
  return { code, stdout, stderr };
}
