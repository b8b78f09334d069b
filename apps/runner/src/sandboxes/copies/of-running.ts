import { randomId, SoulBoxError } from '@soulbox/base';
import type { State } from '@soulbox/states';
import { readBootId } from '../../host/boot-id.ts';
import { freeSlot } from '../host.ts';
import type { OperationContext } from '../operation.ts';
import { tellUpdated } from '../operation.ts';
import type { Work } from '../record.ts';
import { comesLate, memoryOf } from '../sleep/check-state.ts';
import { endProcesses, savedFrom } from '../sleep/finish-pause.ts';
import { goOn } from '../sleep/go-on.ts';
import { revive } from '../sleep/revive.ts';
import { checkRoom, saveState } from '../sleep/save.ts';
import { standStill } from '../sleep/stand-still.ts';
import type { RunningSandbox, TenantSandbox } from '../table.ts';
import type { ShortChain } from './shorten-chain.ts';
import { layersAfter, takeDisk } from './take-disk.ts';

/**
 * Makes of a running sandbox what copies are made of: its memory becomes a state, its disk the topmost layer. It has no
 * processes afterwards and must go on by `continueSource`. The layer is not sealed yet; `work` in the record says so until it
 * is. Called with the lock held. Throws `checkpoint_failed` and others as a pause does, with the sandbox running on.
 */
export async function takeApart(context: OperationContext, sandbox: RunningSandbox, chain: ShortChain): Promise<State> {
  const { table } = context;
  await checkRoom(context, sandbox, true);
  const work: Work = {
    from: 'running',
    bootId: readBootId(),
    stateId: randomId(20),
    layerId: randomId(20),
    keepMemory: true,
    promised: false,
  };
  await table.step(sandbox, 'snapshotting', { work });
  const below = chain.below(sandbox.record.layers);
  const state = await saveStanding(context, sandbox, work, below);
  await table.update(sandbox, { saved: savedFrom(state) });
  await parkDisk(context, sandbox, work, below);
  return state;
}

async function saveStanding(
  context: OperationContext,
  sandbox: RunningSandbox,
  work: Work,
  below: readonly string[],
): Promise<State> {
  const layers = [work.layerId, ...below];
  try {
    await standStill(context, sandbox);
    return await saveState(context, sandbox, { stateId: work.stateId, keepMemory: true, layers });
  } catch (error) {
    await goOn(context, sandbox);
    if (error instanceof SoulBoxError && error.reason !== 'internal') throw error;
    throw new SoulBoxError('checkpoint_failed', 'The sandbox could not be saved; it goes on running.', {
      cause: error,
    });
  }
}

/** Ends the processes and turns the disk into the layer, if it can be; the source goes on either way. */
async function parkDisk(
  context: OperationContext,
  sandbox: RunningSandbox,
  work: Work,
  below: readonly string[],
): Promise<void> {
  const { host, table, background } = context;
  const { sandboxId, slot } = sandbox.record;
  try {
    await endProcesses(host, sandbox);
    await takeDisk(context, sandbox, work.layerId);
  } catch (err) {
    host.logger.error({ sandboxId, err }, 'disk not turned into a layer');
  }
  await table.update(sandbox, { ...layersAfter(context, sandbox, work.layerId, below), slot: 0 });
  // The kernel takes 10 ms and more to remove an interface. One that a server did not get to is removed by the next.
  background.start(async () => await freeSlot(host, slot));
}

/**
 * Lets the source go on as a copy of itself, on a fresh disk. Its memory was saved a moment ago by this process, so nothing of
 * it needs to be checked. Throws `sandbox_resume_failed` when it could not go on and is paused now.
 */
export async function continueSource(context: OperationContext, sandbox: TenantSandbox, state: State): Promise<void> {
  const { driver, cause, stateSinceMs, pagesFrom: before } = sandbox.record;
  try {
    const memory = memoryOf(context.host, driver, state, 'itself');
    const pagesFrom = comesLate(memory) ? state.stateId : '';
    await revive(context, sandbox, { memory, change: { cause, stateSinceMs, pagesFrom } });
  } catch (error) {
    await context.table.update(sandbox, { cause: 'resume_failed', stateSinceMs: context.clock.now() });
    tellUpdated(context, sandbox);
    throw error;
  }
  context.background.start(async () => await context.keepsakes.drop(before));
}
