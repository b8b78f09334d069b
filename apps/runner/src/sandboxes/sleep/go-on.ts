import type { OperationContext } from '../operation.ts';
import type { RecordChange, TenantSandbox } from '../table.ts';

/**
 * Lets a sandbox that stands still run again, its half-made state dropped. Never throws for one that died meanwhile: it is
 * back among the running ones, where the keeper finds and ends it.
 */
export async function goOn(
  context: OperationContext,
  sandbox: TenantSandbox,
  change: RecordChange = {},
): Promise<void> {
  await tryThaw(context, sandbox);
  await noteRunning(context, sandbox, change);
}

/** False when its processes do not go on. */
export async function tryThaw({ host }: OperationContext, { live, record }: TenantSandbox): Promise<boolean> {
  try {
    await live?.driver.thaw(live.instance);
    return true;
  } catch (err) {
    host.logger.error({ sandboxId: record.sandboxId, err }, 'sandbox not thawed');
    return false;
  }
}

/** Its saved state, whole or not, is needed no more. */
export async function noteRunning(
  { table, background, keepsakes }: OperationContext,
  sandbox: TenantSandbox,
  change: RecordChange,
): Promise<void> {
  const stateId = sandbox.record.work?.stateId ?? '';
  await table.step(sandbox, 'running', { ...change, work: undefined, waitsForRoom: false });
  background.start(async () => await keepsakes.drop(stateId));
}
