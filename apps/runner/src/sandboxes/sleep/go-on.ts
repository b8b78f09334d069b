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
  const { live, record } = sandbox;
  try {
    await live?.driver.thaw(live.instance);
  } catch (err) {
    context.host.logger.error({ sandboxId: record.sandboxId, err }, 'sandbox not thawed');
  }
  const stateId = record.work?.stateId ?? '';
  await context.table.step(sandbox, 'running', { ...change, work: undefined });
  context.background.start(async () => await context.keepsakes.drop(stateId));
}
