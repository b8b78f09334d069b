import type { OperationContext } from '../operation-context.ts';
import type { RecordChange, TenantSandbox } from '../../registry/table.ts';
import { checkLayers, checkMemory, comesLate } from '../../processes/check-memory.ts';
import { checkKeptDisk } from '../../processes/kept-disk.ts';
import { revive } from './revive.ts';

/**
 * Brings a paused sandbox back, with its memory or afresh on its files. Its saved state is removed only when it runs, and on any
 * failure it is paused as before. Called with the lock held. Throws `sandbox_resume_failed`, `state_damaged`,
 * `state_incompatible`, `too_many_sandboxes`.
 */
export async function wakeUp(
  context: OperationContext,
  sandbox: TenantSandbox,
  withMemory: boolean,
  change: RecordChange,
): Promise<void> {
  const { host, references, background } = context;
  const { saved, layers, driver, runtimeName } = sandbox.record;
  if (saved === undefined) throw new Error('a paused sandbox names no state');
  const { stateId, hasMemory } = saved;
  using _place = context.admission.enter();
  {
    using _hold = references.hold({ states: [stateId], layers });
    if (withMemory && hasMemory) {
      const [memory] = await Promise.all([
        checkMemory(host, { stateId, layers, driver, runtimeName }, 'itself'),
        checkKeptDisk(host, sandbox.record),
      ]);
      const pagesFrom = comesLate(memory) ? stateId : '';
      await revive(context, sandbox, { memory, change: { ...change, pagesFrom } });
    } else {
      await Promise.all([checkLayers(host, layers), checkKeptDisk(host, sandbox.record)]);
      await revive(context, sandbox, { memory: undefined, change });
    }
  }
  background.start(async () => await references.drop(stateId));
}
