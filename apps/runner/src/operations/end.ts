import { measureOperation, phase } from '@soulbox/base';
import type { Clock, OperationTimes } from '@soulbox/base';
import type { Cause } from '@soulbox/contract';
import type { Events } from '../registry/events.ts';
import type { Background } from '../background.ts';
import { removeSandbox } from '../processes/sandbox-host.ts';
import type { SandboxHost } from '../processes/sandbox-host.ts';
import type { References } from '../registry/references.ts';
import { disconnect } from '../processes/start-processes.ts';
import type { HostRecord } from '../registry/record.ts';
import type { KnownSandbox, SandboxTable } from '../registry/table.ts';
import { isTenants } from '../registry/table.ts';

export interface EndContext {
  readonly host: SandboxHost;
  readonly table: SandboxTable;
  readonly references: References;
  readonly events: Events;
  readonly background: Background;
  readonly clock: Clock;
  /** Stops serving a sandbox: its routes are gone and its open streams are reset. */
  readonly cutOff: (sandboxId: string) => Promise<void>;
}

/**
 * Ends a sandbox, whatever it was doing, after a pause, resume or snapshot in progress. Returns false when there is
 * none, or it is ending already. Order: connections are cut, the intent is recorded, the end is announced, then
 * processes, mounts, network, folder, record and the sandbox's own checkpoints are removed. The end is not announced
 * before it is recorded: after a crash in between, the sandbox would still run although its end was announced.
 */
export async function endSandbox(context: EndContext, sandboxId: string, cause: Cause): Promise<boolean> {
  // A save or restore that waits for memory of the host has the lock.
  using _refusal = context.host.memory.refuse(sandboxId);
  return await context.table.alone(sandboxId, async () => {
    const sandbox = context.table.find(sandboxId);
    if (sandbox === undefined || sandbox.record.state === 'ending') return false;
    await measureOperation('end', async (finish) => await endAlone(context, sandbox, cause, finish));
    return true;
  });
}

async function endAlone(
  context: EndContext,
  sandbox: KnownSandbox,
  cause: Cause,
  finish: () => OperationTimes,
): Promise<void> {
  const { host, table, events } = context;
  const { sandboxId } = sandbox.record;
  const wasTenants = isTenants(sandbox);
  const tell = (): void => {
    if (wasTenants) events.emit({ kind: 'ended', sandboxId, cause });
  };
  const recorded = table.step(sandbox, 'ending', { cause });
  const isCut = context.cutOff(sandboxId);
  const isRecorded = await isDone(recorded, (err) => {
    // An end must work on a full disk too. With processes and record removed, the next server finds nothing to take
    // over.
    host.logger.error({ sandboxId, cause, err }, 'end of a sandbox could not be recorded in advance');
  });
  await phase('cut', async () => await isCut);
  if (isRecorded) tell();
  try {
    disconnect(sandbox);
    await phase('remove', async () => await removeWholly(context, sandbox));
    host.logger.info({ sandboxId, cause, ...finish() }, 'sandbox ended');
  } catch (err) {
    // It is `ending` in memory, and on the disk if that could be written. The deadline loop or the next start tries
    // again.
    host.logger.error({ sandboxId, cause, err }, 'sandbox could not be removed completely');
  }
  if (!isRecorded) tell();
}

async function isDone(step: Promise<void>, onFailure: (error: unknown) => void): Promise<boolean> {
  try {
    await step;
    return true;
  } catch (error) {
    onFailure(error);
    return false;
  }
}

async function removeWholly(context: EndContext, { record }: KnownSandbox): Promise<void> {
  await keepDamaged(context, record, damagedOf(record));
  await removeSandbox(context.host, record);
  context.table.delete(record.sandboxId);
  const { saved, work, layers, pagesFrom } = record;
  const hadCheckpoints = saved !== undefined || work !== undefined || pagesFrom !== '';
  if (hadCheckpoints || layers.length > 0) context.background.start(async () => await context.references.collect());
}

/** The checkpoint that proved damaged while a sandbox ran from it. Empty: none. */
function damagedOf({ cause, pagesFrom, saved }: HostRecord): string {
  if (cause === 'damaged') return pagesFrom;
  return saved?.isDamaged === true ? saved.stateId : '';
}

/** Called before anything is removed: this is the only trace of what happened to the sandbox. */
export async function keepDamaged(
  { host, references, clock }: Pick<EndContext, 'host' | 'references' | 'clock'>,
  record: HostRecord,
  checkpointId: string,
): Promise<void> {
  if (host.config.damagedStateHours > 0) await references.setAside(checkpointId, record, clock.now());
}

/** Tries again to remove sandboxes whose end failed half-way. */
export async function retryEndings(context: EndContext): Promise<void> {
  for (const sandbox of context.table.all()) {
    const { sandboxId, state } = sandbox.record;
    if (state !== 'ending' || context.table.isBusy(sandboxId)) continue;
    try {
      await removeWholly(context, sandbox);
    } catch (err) {
      context.host.logger.error({ sandboxId, err }, 'sandbox could still not be removed');
    }
  }
}
