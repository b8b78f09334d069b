import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

/** Where tests and benchmarks keep their data; the same folder as in packages/testing. */
export const testDirectory = '/var/lib/soulbox-test';

const repository = join(import.meta.dirname, '..');

/** Runs a program of the workspace with our output and gives its exit code; 128 and more for a signal. */
export async function runVisibly(command: string, args: readonly string[]): Promise<number> {
  const child = spawn(command, [...args], { cwd: repository, stdio: ['ignore', 'inherit', 'inherit'] });
  const forward = (signal: NodeJS.Signals): void => void child.kill(signal);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, forward);
  try {
    const [code] = (await once(child, 'exit')) as [number | null];
    return code ?? 128;
  } finally {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, forward);
  }
}

const soulbox = async (...args: string[]): Promise<number> =>
  await runVisibly(process.execPath, ['apps/cli/src/main.ts', ...args]);

/** Templates that take half a minute; tests of the others are skipped where these have not been made. */
const quickTemplates = ['mcp-gateway'];

/** Prepares host and templates for tests; gives the exit code of what failed. */
export async function prepareForTests(): Promise<number> {
  const place = ['--data-dir', testDirectory];
  let code = await soulbox('setup', '--install', ...place);
  for (const name of quickTemplates) code ||= await soulbox('template', 'make', name, ...place);
  return code;
}

/** Prepares the host and makes the templates of ours that are missing. */
export async function prepareTemplates(args: readonly string[]): Promise<number> {
  const prepared = await soulbox('setup', '--install', ...args);
  return prepared === 0 ? await soulbox('template', 'make', '--all', ...args) : prepared;
}
