import { CommandExitError } from 'e2b';
import type { Sandbox } from 'e2b';
import { program } from '../../run-batch.ts';

/** The names of `egress.py` and `batch.py`, without running anything. */
const names = program.slice(0, program.lastIndexOf('\norder = '));

/** Runs Python with those names in the sandbox, and returns what it prints. */
export async function runPython(
  sandbox: Sandbox,
  body: string,
  { user = 'user', timeoutMs = 60_000 }: { user?: 'user' | 'root'; timeoutMs?: number } = {},
): Promise<string> {
  const folder = user === 'root' ? '/root' : '/home/user';
  const path = `${folder}/redteam-${Math.random().toString(36).slice(2)}.py`;
  await sandbox.files.write(path, `${names}\n${body}`, { user });
  try {
    return (await sandbox.commands.run(`python3 ${path}`, { user, timeoutMs })).stdout;
  } catch (thrown) {
    // The message of an exit has only its status.
    if (thrown instanceof CommandExitError)
      throw new Error(`${thrown.message}: ${thrown.stdout.slice(-500)} ${thrown.stderr.slice(-500)}`, {
        cause: thrown,
      });
    throw thrown;
  }
}
