import { phase, SoulBoxError } from '@soulbox/base';
import type { Clock } from '@soulbox/base';
import type { Checkpoint, CheckpointFacts } from '@soulbox/checkpoints';
import { readCpuType } from '../host/cpu-type.ts';
import type { SandboxHost } from './sandbox-host.ts';
import type { RunningSandbox } from '../registry/table.ts';

export interface SaveContext {
  readonly host: SandboxHost;
  readonly clock: Clock;
}

export interface Save {
  readonly checkpointId: string;
  readonly keepMemory: boolean;
  /** Layers that belong to the checkpoint, topmost first. */
  readonly layers: readonly string[];
}

/** Saves a frozen sandbox as a checkpoint, sealed on the disk. The sandbox stays frozen, whatever happens. */
export async function saveCheckpoint(context: SaveContext, sandbox: RunningSandbox, save: Save): Promise<Checkpoint> {
  await using draft = await context.host.checkpoints.begin(save.checkpointId, save.layers);
  if (save.keepMemory) {
    draft.follow((partName) => sandbox.live.driver.isMemoryPart(partName));
    await saveMemory(context, sandbox, draft.directory);
  }
  const facts = await factsOf(context, sandbox, save);
  return await phase('seal', async () => await draft.seal(facts));
}

/** The reason of a failure is logged here, because an error loses its cause on the way to the caller. */
/**
 * What programs have written to their volumes through memory is in the volumes, and what they have written to open files of
 * buckets is in the stores. Called before the memory of a frozen sandbox is saved. Throws `checkpoint_failed`.
 */
export async function flushMounts(context: Pick<SaveContext, 'host'>, sandbox: RunningSandbox): Promise<void> {
  const { volumes } = sandbox.record;
  if (volumes.some(({ isBucket }) => isBucket)) await syncBuckets(context, sandbox);
  if (volumes.some(({ isBucket }) => !isBucket)) await syncVolumes(context, sandbox);
}

async function syncVolumes(
  { host }: Pick<SaveContext, 'host'>,
  { record: { sandboxId }, live }: RunningSandbox,
): Promise<void> {
  try {
    await phase('volumes', async () => await live.driver.syncVolumes(live.instance));
  } catch (cause) {
    host.logger.warn({ sandboxId, err: cause }, 'volumes of a sandbox could not be written before a save');
    throw new SoulBoxError('checkpoint_failed', 'The volumes of the sandbox could not be written. Retry.', { cause });
  }
}

async function saveMemory(context: SaveContext, sandbox: RunningSandbox, directory: string): Promise<void> {
  const { driver, instance } = sandbox.live;
  await flushMounts(context, sandbox);
  try {
    await phase('save', async () => await driver.checkpoint(instance, directory));
  } catch (err) {
    context.host.logger.warn({ sandboxId: sandbox.record.sandboxId, err }, 'sandbox could not be saved');
    throw err;
  }
}

/** Throws `checkpoint_failed`. */
async function syncBuckets(
  { host }: Pick<SaveContext, 'host'>,
  { record: { sandboxId } }: RunningSandbox,
): Promise<void> {
  try {
    await phase('buckets', async () => await host.volumes.writeOpenFiles(sandboxId));
  } catch (cause) {
    host.logger.warn({ sandboxId, err: cause }, 'open files of a bucket could not be written before a save');
    throw new SoulBoxError(
      'checkpoint_failed',
      'Open files of a bucket could not be written. See docs/buckets.md; the log of the server has the cause.',
      { cause },
    );
  }
}

export async function factsOf(context: SaveContext, sandbox: RunningSandbox, save: Save): Promise<CheckpointFacts> {
  const { record, live } = sandbox;
  return {
    createdAtMs: context.clock.now(),
    driver: live.driver.name,
    driverVersion: await live.driver.readVersion(),
    hasMemory: save.keepMemory,
    cpuType: await readCpuType(),
    templateId: record.templateId,
    runtimeName: record.runtimeName,
    cpuCount: record.cpuCount,
    memoryMb: record.memoryMb,
    diskMb: record.diskMb,
    layers: [...save.layers],
    tenant: null,
  };
}

const saving = 'Saving the sandbox';

/**
 * Reserves room for all memory that the sandbox uses now, on the host's disk and in its memory, until disposed. May wait
 * for other saves, but an urgent one does not. Throws `disk_full`, `checkpoint_failed`.
 */
export async function holdRoom(
  context: Pick<SaveContext, 'host'>,
  sandbox: RunningSandbox,
  keepMemory: boolean,
  isUrgent = false,
): Promise<Disposable> {
  if (!keepMemory) return holdDisk(context, 0);
  using held = new DisposableStack();
  const { bytes } = held.use(await holdMemory(context, sandbox, isUrgent));
  held.use(holdDisk(context, bytes));
  return held.move();
}

/** Reserves room on the host's disk until disposed. Throws `disk_full`. */
export function holdDisk({ host }: Pick<SaveContext, 'host'>, bytes: number): Disposable {
  return host.disks.admit(bytes, saving);
}

/**
 * Reserves memory of the host for a clear copy of the sandbox's memory until disposed. Called with the lock of the sandbox
 * held. Throws `checkpoint_failed`.
 */
export async function holdMemory(
  { host }: Pick<SaveContext, 'host'>,
  { live, record: { sandboxId } }: RunningSandbox,
  isUrgent = false,
): Promise<Disposable & { readonly bytes: number }> {
  const { memoryRssBytes, memoryWorkingSetBytes } = live.driver.sample(live.instance);
  // The host counts the memory of programs behind a kernel of their own as a file of that kernel.
  const bytes = live.driver.capabilities.ownKernel ? memoryWorkingSetBytes : memoryRssBytes;
  const hold = await host.memory.admit({ bytes, what: saving, reason: 'checkpoint_failed', sandboxId, isUrgent });
  return { bytes, [Symbol.dispose]: () => hold[Symbol.dispose]() };
}
