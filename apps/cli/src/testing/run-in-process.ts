import { vi } from 'vitest';
import { environment } from '../config.ts';
import { runProgram } from '../program/run-program.ts';
import type { CliResult } from './run-cli.ts';

/**
 * Runs a command line in this process, which takes a tenth of the time of a process of its own. For commands that do
 * not read standard input, handle signals or end the process; one at a time.
 */
export async function runInProcess(
  args: readonly string[],
  variables: Readonly<Record<string, string>> = {},
): Promise<CliResult> {
  const written = { stdout: '', stderr: '' };
  const spies = (['stdout', 'stderr'] as const).flatMap((name) => [
    vi.spyOn(process[name], 'write').mockImplementation((chunk) => {
      written[name] += typeof chunk === 'string' ? chunk : Buffer.from(chunk).toString();
      return true;
    }),
    // The runner of the tests has replaced the console.
    vi.spyOn(console, name === 'stdout' ? 'log' : 'error').mockImplementation((...values: readonly unknown[]) => {
      written[name] += `${values.map(String).join(' ')}\n`;
    }),
  ]);
  for (const name of Object.keys(environment)) if (/^(?:E2B|SOULBOX)_/.test(name)) vi.stubEnv(name, undefined);
  for (const [name, value] of Object.entries(variables)) vi.stubEnv(name, value);
  try {
    return { code: await runProgram(args), ...written };
  } finally {
    for (const spy of spies) spy.mockRestore();
    vi.unstubAllEnvs();
  }
}
