import type { State } from '@soulbox/states';
import { freeSlot, getDriver } from '../host.ts';
import { letGo } from '../live.ts';
import type { OperationContext } from '../operation.ts';
import type { SandboxRecord } from '../record.ts';
import type { TenantSandbox } from '../table.ts';

/**
 * The last part of a pause, once its state is sealed: ends the processes and gives back all that the sandbox held but its
 * disk. The record says `paused` only when the disk is written out. Never throws: what fails is tried again by the keeper,
 * by a resume, or by the next server. False when that will be so.
 */
export async function finishPause(context: OperationContext, sandbox: TenantSandbox): Promise<boolean> {
  const { sandboxId, work, pagesFrom } = sandbox.record;
  try {
    const state = await context.host.states.open(work?.stateId ?? '');
    await layDown(context, sandbox);
    const saved = savedFrom(state);
    await context.table.step(sandbox, 'paused', { saved, slot: 0, disk: 'kept', pagesFrom: '', work: undefined });
    context.activity.forget(sandboxId);
    context.background.start(async () => await context.keepsakes.drop(pagesFrom));
    return true;
  } catch (err) {
    context.host.logger.error({ sandboxId, err }, 'pause not completed yet');
    return false;
  }
}

/** Ends processes and network, and keeps the disk. Safe to repeat. */
export async function layDown({ host }: Pick<OperationContext, 'host'>, sandbox: TenantSandbox): Promise<void> {
  const { sandboxId, driver, slot } = sandbox.record;
  letGo(sandbox);
  await getDriver(host, driver).suspend(sandboxId, host.store.directoryOf(sandboxId));
  await freeSlot(host, slot);
}

export function savedFrom(state: State): NonNullable<SandboxRecord['saved']> {
  return { stateId: state.stateId, hasMemory: state.manifest.facts.hasMemory, sizeBytes: state.sizeBytes };
}
