import { SoulBoxError } from '@soulbox/base';
import type { OperationContext } from '../operation-context.ts';
import type { RecordChange, TenantSandbox } from '../../registry/table.ts';

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

/** What became of processes that stood still. A thaw that failed for a reason we do not know may have let them run. */
export type Thawed = 'goes-on' | 'has-not-run' | 'may-have-run';

/** Never throws. */
export async function tryThaw({ host }: OperationContext, { live, record }: TenantSandbox): Promise<Thawed> {
  try {
    await live?.driver.thaw(live.instance);
    return 'goes-on';
  } catch (err) {
    host.logger.error({ sandboxId: record.sandboxId, err }, 'sandbox not thawed');
    return err instanceof SoulBoxError && err.reason === 'sandbox_resume_failed' ? 'has-not-run' : 'may-have-run';
  }
}

/** Its saved state, whole or not, is needed no more. */
export async function noteRunning(
  { table, background, references }: OperationContext,
  sandbox: TenantSandbox,
  change: RecordChange,
): Promise<void> {
  const stateId = sandbox.record.work?.stateId ?? '';
  await table.step(sandbox, 'running', { ...change, work: undefined, waitsForRoom: false });
  background.start(async () => await references.drop(stateId));
}
