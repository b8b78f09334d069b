import type { Cause } from '@soulbox/contract';
import type { OperationContext } from '../operations/operation-context.ts';
import { tellUpdated } from '../operations/operation-context.ts';
import { pauseSandbox } from '../operations/pause/pause.ts';
import type { RunningSandbox } from '../registry/table.ts';

/** The first wait before a failed pause is retried. Each further failure doubles it. */
const firstRespiteMs = 30_000;
const longestRespiteMs = 600_000;

/**
 * Kills or pauses a sandbox at its deadline, or when it was idle for too long, as its lifecycle says. After a failed
 * pause it runs on with a later deadline, so that no data is lost, and the pause is retried then without limit.
 */
export function createOnDeadline(
  context: OperationContext,
  end: (sandboxId: string, cause: Cause) => Promise<boolean>,
): (sandbox: RunningSandbox, cause: 'timeout' | 'idle') => Promise<void> {
  const failures = new Map<string, number>();

  const lengthen = async (sandbox: RunningSandbox): Promise<void> => {
    const { sandboxId, tenant } = sandbox.record;
    const count = failures.get(sandboxId) ?? 0;
    failures.set(sandboxId, count + 1);
    const endAtMs = context.clock.now() + Math.min(firstRespiteMs * 2 ** count, longestRespiteMs);
    await context.table.note(sandbox, { cause: 'pause_failed', tenant: { ...tenant, endAtMs } });
    context.logBook.write(sandboxId, 'pause failed, the sandbox continues to run');
    tellUpdated(context, sandbox);
  };

  return async (sandbox, cause) => {
    const { sandboxId, tenant } = sandbox.record;
    const { pauseOnTimeout, pauseMemory } = tenant.lifecycle;
    if (!pauseOnTimeout) {
      await end(sandboxId, cause);
      return;
    }
    const durability = context.host.config.pauseDurability;
    try {
      await pauseSandbox(context, sandboxId, { keepMemory: pauseMemory, durability, cause });
      failures.delete(sandboxId);
    } catch (err) {
      context.host.logger.error({ sandboxId, cause, err }, 'sandbox could not be paused; it continues to run');
      const [still] = context.table.running().filter(({ record }) => record.sandboxId === sandboxId);
      if (still !== undefined) await lengthen(still);
      else failures.delete(sandboxId);
    }
  };
}
