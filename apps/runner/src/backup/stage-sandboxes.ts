import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { errorFromUnknown, isDiskFull, writeFileAtomic } from '@soulbox/base';
import type { CopySource } from '../registry/snapshot-store.ts';
import type { VolumeOfSandbox } from '../registry/record.ts';
import type { UseSource } from '../operations/copies/source-at-hand.ts';
import { withSource } from '../operations/copies/with-source.ts';
import type { OperationContext } from '../operations/operation-context.ts';
import type { HostRecord } from '../registry/record.ts';
import type { Report, Staged } from './staged.ts';

/** Each sandbox is frozen while its memory is saved. More at once would be frozen longer. */
const atOnce = 2;

/**
 * Puts every sandbox of a tenant into a folder of the same file system, as a paused sandbox with its present memory and
 * files. A running sandbox continues, as the source of a snapshot does; its volumes are saved as they are at the moment of
 * its memory. A sandbox that cannot be saved is left out and reported with the reason. Throws `disk_full`, and the reason
 * of `signal`.
 */
export async function stageSandboxes(
  context: OperationContext,
  directory: string,
  report: Report,
  signal: AbortSignal,
): Promise<void> {
  await mkdir(join(directory, 'sandboxes'), { recursive: true, mode: 0o700 });
  const queue = context.table
    .tenants()
    .map(({ record }) => record.sandboxId)
    .values();
  const worker = async (): Promise<void> => {
    for (const sandboxId of queue) {
      signal.throwIfAborted();
      const staged = await tryStage(context, directory, sandboxId);
      if (staged !== undefined) report(staged);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
}

/** Undefined for a sandbox that ended meanwhile. */
async function tryStage(context: OperationContext, directory: string, sandboxId: string): Promise<Staged | undefined> {
  try {
    await stageSandbox(context, directory, sandboxId);
    return { what: 'sandbox', id: sandboxId };
  } catch (error) {
    if (isDiskFull(error)) throw error;
    if (context.table.find(sandboxId) === undefined) return undefined;
    context.host.logger.warn({ sandboxId, err: error }, 'sandbox left out of a backup');
    return { what: 'sandbox', id: sandboxId, leftOut: errorFromUnknown(error).message };
  }
}

async function stageSandbox(context: OperationContext, directory: string, sandboxId: string): Promise<void> {
  const { host, references, table } = context;
  const use: UseSource<void> = async ({ source, sealDisk, sealMemory }) => {
    await Promise.all([sealDisk(), sealMemory()]);
    using _hold = references.hold({ checkpoints: [source.stateId], layers: source.layers });
    const { record } = table.getTenants(sandboxId);
    const { sizeBytes } = await host.checkpoints.open(source.stateId);
    await host.checkpoints.linkInto(directory, [source.stateId], source.layers);
    const staged = await host.store.textOf(asPaused(record, source, sizeBytes));
    await writeFileAtomic(join(directory, 'sandboxes', `${sandboxId}.json`), staged);
  };
  await withSource(context, sandboxId, use, async (volumes) => {
    // Volumes of a paused one go on with others, who may be saved later.
    if (table.getTenants(sandboxId).record.state !== 'paused') await holdVolumes(context, sandboxId, volumes);
  });
}

/**
 * Saved memory, such as that of a database, must not see files of a later moment. A volume that fails is saved later, or
 * left out of the backup; the sandbox is saved. Never throws.
 */
async function holdVolumes(
  { host }: OperationContext,
  sandboxId: string,
  volumes: readonly VolumeOfSandbox[],
): Promise<void> {
  const written = volumes.filter(({ isBucket, isReadOnly }) => !isBucket && !isReadOnly);
  const byId = new Map(written.map((volume) => [volume.volumeId, volume]));
  await Promise.all(
    [...byId.values()].map(async (volume) => {
      await host.volumes.holdForBackup(volume).catch((err: unknown) => {
        host.logger.warn({ err, sandboxId, volumeId: volume.volumeId }, 'a volume has a later moment in the backup');
      });
    }),
  );
}

/** The record of a paused sandbox whose disk is a layer. */
function asPaused(record: HostRecord, source: CopySource, sizeBytes: number): HostRecord {
  const { stateId, hasMemory, isEncrypted, layers } = source;
  return {
    ...record,
    ...{
      state: 'paused',
      slot: 0,
      layers,
      disk: 'new',
      ground: '',
      pagesFrom: '',
      waitsForRoom: false,
      work: undefined,
    },
    runtimeName: source.runtimeName,
    saved: { stateId, hasMemory, isEncrypted, sizeBytes },
  };
}
