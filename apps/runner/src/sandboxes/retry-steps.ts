import type { OperationContext } from './operation.ts';
import { recoverStep } from './recover-step.ts';
import type { SandboxState } from './lifecycle.ts';
import { finishPause } from './sleep/finish-pause.ts';
import type { TenantSandbox } from './table.ts';

const stuckStates: readonly SandboxState[] = ['pausing', 'resuming', 'snapshotting'];

/**
 * Tries again to complete pauses whose last part failed, and what could not be recovered when this server started, for instance
 * because a foreign mount held a disk. `end` is for what turns out to be lost.
 */
export async function retrySteps(
  context: OperationContext,
  end: (sandboxId: string, cause: 'lost') => Promise<boolean>,
): Promise<void> {
  const { table, host } = context;
  for (const { record } of table.tenants()) {
    const { sandboxId } = record;
    // With processes it is frozen for its grace period, or under way, and somebody else completes it.
    const findStuck = (): TenantSandbox | undefined => {
      const sandbox = table.find(sandboxId);
      const isStuck = sandbox?.live === undefined && stuckStates.includes(sandbox?.record.state ?? 'running');
      return isStuck ? table.getTenants(sandboxId) : undefined;
    };
    if (findStuck() === undefined || table.isBusy(sandboxId)) continue;
    try {
      const isKept = await table.alone(sandboxId, async () => await retry(context, findStuck()));
      if (!isKept) await end(sandboxId, 'lost');
    } catch (err) {
      host.logger.error({ sandboxId, err }, 'sandbox still not recovered');
    }
  }
}

/** False when the sandbox is lost. */
async function retry(context: OperationContext, sandbox: TenantSandbox | undefined): Promise<boolean> {
  if (sandbox?.record.state !== 'pausing') return sandbox === undefined || (await recoverStep(context, sandbox));
  await finishPause(context, sandbox);
  return true;
}
