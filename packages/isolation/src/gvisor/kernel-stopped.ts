import { CommandError, run } from '@soulbox/base';
import { runtimeRoot } from './runtime-state.ts';

const timeoutMs = 10_000;

/**
 * Whether gVisor's kernel has stopped all tasks, by the functions of its goroutines: each task runs in `(*Task).run`,
 * and a stopped one waits in `(*Task).doStop` (gVisor: pkg/sentry/kernel/task_run.go, task_stop.go). Takes 30 ms.
 * Undefined if the kernel does not answer, or if another version of it uses other names.
 */
export async function isKernelStopped(instance: number, sandboxId: string): Promise<boolean | undefined> {
  try {
    const root = `--root=${runtimeRoot(instance)}`;
    return areAllStopped(await run('runsc', [root, 'debug', '--stacks', sandboxId], { timeoutMs }));
  } catch (error) {
    if (error instanceof CommandError) return undefined;
    throw error;
  }
}

/** `stacks`: the output of `runsc debug --stacks`. */
export function areAllStopped(stacks: string): boolean | undefined {
  const count = (name: string): number => stacks.split(`kernel.(*Task).${name}(`).length - 1;
  const tasks = count('run');
  return tasks === 0 ? undefined : count('doStop') >= tasks;
}
