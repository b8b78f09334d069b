import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

/** Starts a program of this folder, which prints a line when it is ready. */
export async function startChild(
  file: string,
  args: readonly string[],
): Promise<{ readonly line: string } & AsyncDisposable> {
  const child = spawn(process.execPath, ['--conditions=soulbox-source', join(import.meta.dirname, file), ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const { value: line } = await createInterface({ input: child.stdout })[Symbol.asyncIterator]().next();
  return {
    line: String(line),
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await ended;
    },
  };
}
