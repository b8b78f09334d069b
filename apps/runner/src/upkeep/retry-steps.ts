import type { OperationContext } from '../operations/operation-context.ts';
import { tellUpdated } from '../operations/operation-context.ts';
import { recoverStep } from './recover-step.ts';
import type { SandboxState } from '../registry/lifecycle.ts';
import { finishPause } from '../operations/pause/finish-pause.ts';
import { isRunning, isTenants } from '../registry/table.ts';
import type { TenantSandbox } from '../registry/table.ts';

const stuckStates: readonly SandboxState[] = ['pausing', 'resuming', 'snapshotting'];

/**
 * Retries pauses whose last part failed, sandboxes that could not be recovered at the start, for instance because a
 * foreign mount held a disk, and frozen sandboxes that wait for room to be saved. Calls `end` for a sandbox that turns
 * out to be lost.
 */
export async function retrySteps(
  context: OperationContext,
  end: (sandboxId: string, cause: 'lost') => Promise<boolean>,
): Promise<void> {
  const { table, host } = context;
  for (const { record } of table.tenants()) {
    const { sandboxId } = record;
    if (!stuckStates.includes(record.state) || table.isBusy(sandboxId)) continue;
    try {
      const isKept = await table.alone(sandboxId, async () => {
        const sandbox = table.find(sandboxId);
        if (sandbox === undefined || !isTenants(sandbox) || !(await isStuck(context, sandbox))) return true;
        return await retry(context, sandbox);
      });
      if (!isKept) await end(sandboxId, 'lost');
    } catch (err) {
      host.logger.error({ sandboxId, err }, 'sandbox could still not be recovered');
    }
  }
}

/**
 * Called with the lock held, so that no other step is in progress. A saved sandbox with processes is in its grace
 * period; `complete-later.ts` completes its pause.
 */
async function isStuck({ host }: OperationContext, { record, live }: TenantSandbox): Promise<boolean> {
  if (!stuckStates.includes(record.state)) return false;
  if (live === undefined || record.state === 'resuming') return true;
  return record.state === 'pausing' && (await host.checkpoints.find(record.work?.stateId ?? '')) === undefined;
}

/** False when the sandbox is lost. */
async function retry(context: OperationContext, sandbox: TenantSandbox): Promise<boolean> {
  if (sandbox.record.state === 'pausing' && sandbox.live === undefined) {
    await finishPause(context, sandbox);
    return true;
  }
  const isKept = await recoverStep(context, sandbox);
  if (!isRunning(sandbox)) return isKept;
  context.metrics.add(sandbox);
  tellUpdated(context, sandbox);
  return true;
}
