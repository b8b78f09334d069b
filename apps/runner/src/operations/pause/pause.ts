import { measureOperation, randomId, SoulBoxError } from '@soulbox/base';
import type { Cause } from '@soulbox/contract';
import { readBootId } from '../../host/boot-id.ts';
import { checkPause } from '../../registry/lifecycle.ts';
import type { OperationContext } from '../operation-context.ts';
import { tellUpdated } from '../operation-context.ts';
import type { RunningSandbox, TenantSandbox } from '../../registry/table.ts';
import { completeLater } from './complete-later.ts';
import { finishPause } from './finish-pause.ts';
import { thawSandbox } from './thaw.ts';
import { holdRoom, saveCheckpoint } from '../../processes/save-checkpoint.ts';
import { freeze } from '../../processes/freeze.ts';

export type Durability = 'on-return' | 'in-background';

export interface PauseRequest {
  /** False: only the files are kept. */
  readonly keepMemory: boolean;
  /** When the call returns: once the checkpoint is safe on the disk, or as soon as the sandbox is frozen. */
  readonly durability: Durability;
  readonly cause: Cause;
}

/**
 * Saves a sandbox and ends its processes. Id, tokens, variables and files stay. Throws `already_paused`,
 * `illegal_transition`, `checkpoint_failed`, `disk_full`, `limit_exceeded`. After each of them the sandbox runs as
 * before, with its connections cut.
 */
export async function pauseSandbox(
  context: OperationContext,
  sandboxId: string,
  request: PauseRequest,
): Promise<TenantSandbox> {
  const { table } = context;
  const { state } = table.getTenants(sandboxId).record;
  // Any other step in progress ends first.
  if (state === 'paused') checkPause(sandboxId, state);
  return await table.alone(sandboxId, async () => {
    checkPause(sandboxId, table.getTenants(sandboxId).record.state);
    const sandbox = table.getRunning(sandboxId);
    checkCapability(sandbox, request.keepMemory);
    context.admission.checkPaused();
    using room = new DisposableStack();
    room.use(await holdRoom(context, sandbox, request.keepMemory));
    await pauseAlone(context, sandbox, request, room);
    return sandbox;
  });
}

/** `room` for the checkpoint stays the caller's. Only a save in the background takes it over, until it ends. */
async function pauseAlone(
  context: OperationContext,
  sandbox: RunningSandbox,
  request: PauseRequest,
  room: DisposableStack,
): Promise<void> {
  await measureOperation('pause', async (finish) => {
    const { table, host } = context;
    const { sandboxId, cause, stateSinceMs } = sandbox.record;
    const checkpointId = randomId(20);
    const inBackground = request.durability === 'in-background';
    const work = {
      from: 'running' as const,
      bootId: readBootId(),
      stateId: checkpointId,
      layerId: '',
      keepMemory: request.keepMemory,
      // The call returns as soon as it is frozen, so this one record is both the intent and the promise.
      promised: inBackground,
      mayRun: false,
    };
    const change = { cause: request.cause, stateSinceMs: context.clock.now() };
    await table.step(sandbox, 'pausing', { work, ...(inBackground ? change : {}) });
    try {
      await freeze(context, sandbox);
      context.metrics.sampleLast(sandboxId);
      const { layers } = sandbox.record;
      if (!inBackground) {
        await saveCheckpoint(context, sandbox, { checkpointId, keepMemory: request.keepMemory, layers });
        await table.update(sandbox, { ...change, work: { ...work, promised: true } });
      }
    } catch (error) {
      // Before it runs again: a server that finds a sealed checkpoint would complete the pause.
      await host.checkpoints.remove(checkpointId);
      await thawSandbox(context, sandbox, { cause, stateSinceMs });
      throw explainSaveFailure(error);
    }
    if (inBackground) completeLater(context, sandbox, room.move());
    else await finishPause(context, sandbox);
    host.logger.info({ sandboxId, ...request, ...finish() }, 'sandbox paused');
    context.logBook.write(sandboxId, 'sandbox paused', { cause: request.cause });
    tellUpdated(context, sandbox);
  });
}

function checkCapability({ live }: RunningSandbox, keepMemory: boolean): void {
  if (!keepMemory || live.driver.capabilities.checkpoint) return;
  throw new SoulBoxError(
    'capability_missing',
    `The isolation "${live.driver.name}" cannot save memory. To keep the files only, pause with memory: false.`,
  );
}

/**
 * Errors that the caller may read stay as they are. Any other becomes `checkpoint_failed`, with its cause for the log.
 */
export function explainSaveFailure(error: unknown): SoulBoxError {
  if (error instanceof SoulBoxError && error.reason !== 'internal') return error;
  return new SoulBoxError('checkpoint_failed', 'The sandbox could not be saved. It continues to run.', {
    cause: error,
  });
}
