import type { Context } from '../context.ts';
import { findHooks } from './find-hooks.ts';
import type { Resumed } from './parse-resumed.ts';
import type { HookOutcome } from './run-hook.ts';
import { runHook } from './run-hook.ts';

const directory = '/etc/soulbox/resumed.d';
/** Short, because nobody can reach the sandbox before the hooks are done. */
const timeoutMs = 2000;
const totalTimeoutMs = 5000;

/**
 * Notifies the template's and the tenant's own programs, one after the other. Never throws. A hook that fails, hangs or
 * exceeds its time is logged and the sandbox continues, because a broken hook must not make a checkpoint unusable.
 */
export async function runHooks(context: Context, resumed: Resumed): Promise<void> {
  const env = {
    PATH: context.config.searchPath,
    HOME: '/root',
    SOULBOX_SANDBOX_ID: resumed.sandboxId,
    SOULBOX_GENERATION: resumed.generation,
    SOULBOX_IS_COPY: resumed.isCopy ? '1' : '0',
  };
  const deadline = performance.now() + totalTimeoutMs;
  for (const path of await findHooks(directory, context.log)) {
    const leftMs = deadline - performance.now();
    if (leftMs <= 0) {
      context.log.record('warn', 'resume', 'Hook skipped: earlier hooks used up the time', { path });
      continue;
    }
    try {
      record(
        context,
        path,
        await runHook(path, { env, timeoutMs: Math.min(timeoutMs, leftMs), reaper: context.reaper }),
      );
    } catch (error) {
      context.log.record('warn', 'resume', 'Hook did not start', { path, cause: String(error) });
    }
  }
}

function record(context: Context, path: string, { end, output }: HookOutcome): void {
  const isGood = end !== 'timeout' && end.kind === 'exited' && end.code === 0;
  const status =
    end === 'timeout'
      ? 'killed: it took too long'
      : end.kind === 'exited'
        ? `exit ${end.code}`
        : `signal ${end.signal}`;
  context.log.record(isGood ? 'info' : 'warn', 'resume', 'Hook ended', { path, status, output });
}
