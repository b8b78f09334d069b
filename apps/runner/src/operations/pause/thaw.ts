import { phase, SoulBoxError } from '@soulbox/base';
import type { OperationContext } from '../operation-context.ts';
import type { RecordChange, TenantSandbox } from '../../registry/table.ts';

/**
 * Thaws a frozen sandbox and records that it runs. Its unfinished checkpoint is dropped. A sandbox that died while it
 * was frozen is recorded as running too; the deadline loop finds and ends it. Throws only when the record cannot be
 * written.
 */
export async function thawSandbox(
  context: OperationContext,
  sandbox: TenantSandbox,
  change: RecordChange = {},
): Promise<void> {
  await tryThaw(context, sandbox);
  await recordRunning(context, sandbox, change);
}

/** The result of a thaw. Processes may have run if it failed for an unknown reason. */
export type Thawed = 'goes-on' | 'has-not-run' | 'may-have-run';

/** Never throws. */
export async function tryThaw({ host }: OperationContext, { live, record }: TenantSandbox): Promise<Thawed> {
  try {
    await phase('thaw', async () => await live?.driver.thaw(live.instance));
    return 'goes-on';
  } catch (err) {
    host.logger.error({ sandboxId: record.sandboxId, err }, 'sandbox could not be thawed');
    return err instanceof SoulBoxError && err.reason === 'sandbox_resume_failed' ? 'has-not-run' : 'may-have-run';
  }
}

/** Records that a sandbox runs, and drops the checkpoint of its interrupted step. */
export async function recordRunning(
  { table, background, references }: OperationContext,
  sandbox: TenantSandbox,
  change: RecordChange,
): Promise<void> {
  const checkpointId = sandbox.record.work?.stateId ?? '';
  await table.step(sandbox, 'running', { ...change, work: undefined, waitsForRoom: false });
  background.start(async () => await references.drop(checkpointId));
}
