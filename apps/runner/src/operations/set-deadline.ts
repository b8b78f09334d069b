import type { OperationContext } from './operation-context.ts';
import { tellUpdated } from './operation-context.ts';
import type { RunningSandbox } from '../registry/table.ts';

/**
 * Moves the deadline of a running sandbox, after any step in progress. An undefined `endAtMs` leaves it as it is.
 * Throws `illegal_transition` for a paused sandbox, which has no deadline.
 */
export async function setDeadline(
  context: OperationContext,
  sandboxId: string,
  endAtMs: number | undefined,
  onlyExtend: boolean,
): Promise<RunningSandbox> {
  const { table } = context;
  return await table.alone(sandboxId, async () => {
    const sandbox = table.getRunning(sandboxId);
    const { tenant } = sandbox.record;
    const isMoved = endAtMs !== undefined && (!onlyExtend || endAtMs > tenant.endAtMs);
    if (isMoved) {
      await table.update(sandbox, { tenant: { ...tenant, endAtMs } });
      tellUpdated(context, sandbox);
    }
    return sandbox;
  });
}
