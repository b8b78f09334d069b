import { readFile, stat } from 'node:fs/promises';
import { CommandError } from '@soulbox/base';
import type { ToolOptions } from '../host/host-tool.ts';
import { runHostTool, toolsOf } from '../host/host-tool.ts';
import type { Host } from './host.ts';
import { layoutOf } from './layout.ts';
import { runtimeRoot } from './runtime-state.ts';

/** The sandbox that a runsc command works on. */
export interface Target {
  readonly sandboxId: string;
  readonly directory: string;
}

/** docs/decisions/012-gvisor.md gives the reason for each. */
const flags = [
  '--platform=systrap',
  '--network=sandbox',
  '--net-disconnect-ok',
  '--overlay2=none',
  '--file-access=exclusive',
  '--cpu-num-from-quota',
  '--oci-seccomp',
];

/** The program and the arguments before the name of every command. */
export function runscCommand(root: string, log: string): readonly string[] {
  return ['runsc', `--root=${root}`, `--log=${log}`, ...flags];
}

/**
 * Runs a command of runsc, by itself or as the last arguments of `before`. runsc's own messages are in the CommandError
 * that it throws. They come from a log, because runsc's standard error is also the sandbox's.
 */
export async function runRunsc(
  host: Host,
  target: Target,
  args: readonly string[],
  options: Pick<ToolOptions, 'descriptors' | 'signal' | 'onLine' | 'timeoutMs'> & {
    readonly before?: readonly string[];
  } = {},
): Promise<void> {
  const { sandboxId, directory } = target;
  const { runtimeLog } = layoutOf(host.instance, sandboxId, directory);
  const { before = [], ...toolOptions } = options;
  // The messages of this run: those of earlier runs are still in the log.
  const said = await sizeOf(runtimeLog);
  const [command = '', ...rest] = [...before, ...runscCommand(runtimeRoot(host.instance), runtimeLog), ...args];
  try {
    await runHostTool(command, rest, { directory, tools: toolsOf(host, sandboxId), ...toolOptions });
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    const log = await readFile(runtimeLog).catch(() => Buffer.alloc(0));
    throw new CommandError(error.argv, error.exitCode, error.stderr + log.toString('utf8', said), error);
  }
}

async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size;
  } catch {
    return 0;
  }
}
