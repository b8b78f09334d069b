import { phase } from '@soulbox/base';
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
async function saveMemory(context: SaveContext, sandbox: RunningSandbox, directory: string): Promise<void> {
  const { driver, instance } = sandbox.live;
  try {
    await phase('save', async () => await driver.checkpoint(instance, directory));
  } catch (err) {
    context.host.logger.warn({ sandboxId: sandbox.record.sandboxId, err }, 'sandbox could not be saved');
    throw err;
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

/**
 * Reserves room on the host's disk for all memory that the sandbox uses now, and for `besidesBytes`, until disposed.
 * Throws `disk_full`.
 */
export async function holdRoom(
  { host }: Pick<SaveContext, 'host'>,
  { live }: RunningSandbox,
  keepMemory: boolean,
  besidesBytes = 0,
): Promise<Disposable> {
  const used = keepMemory ? (await live.driver.sample(live.instance)).memoryRssBytes : 0;
  return host.disks.admit(used + besidesBytes, 'Saving the sandbox');
}
