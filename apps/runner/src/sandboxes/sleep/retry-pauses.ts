import type { OperationContext } from '../operation.ts';
import { finishPause } from './finish-pause.ts';

/** Tries again to complete pauses whose last part failed. */
export async function retryPauses(context: OperationContext): Promise<void> {
  const { table } = context;
  for (const { record } of table.tenants()) {
    // With processes it is frozen for its grace period, and somebody else completes it.
    const isStuck = (): boolean => {
      const sandbox = table.find(record.sandboxId);
      return sandbox?.record.state === 'pausing' && sandbox.live === undefined;
    };
    if (!isStuck()) continue;
    await table.alone(record.sandboxId, async () => {
      if (isStuck()) await finishPause(context, table.getTenants(record.sandboxId));
    });
  }
}
