import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { errorFromUnknown, isDiskFull, writeFileAtomic } from '@soulbox/base';
import type { CopySource } from '../registry/snapshot-store.ts';
import { withSource } from '../operations/copies/with-source.ts';
import type { OperationContext } from '../operations/operation-context.ts';
import type { HostRecord } from '../registry/record.ts';
import type { Report, Staged } from './staged.ts';

/** Each sandbox is frozen while its memory is saved. More at once would be frozen longer. */
const atOnce = 2;

/**
 * Puts every sandbox of a tenant into a folder of the same file system, as a paused sandbox with its present memory and
 * files. A running sandbox continues, as the source of a snapshot does. A sandbox that cannot be saved is left out and
 * reported with the reason. Throws `disk_full`, and the reason of `signal`.
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
  await withSource(context, sandboxId, async ({ source, sealDisk, sealMemory }) => {
    await Promise.all([sealDisk(), sealMemory()]);
    using _hold = references.hold({ checkpoints: [source.stateId], layers: source.layers });
    const { record } = table.getTenants(sandboxId);
    const { sizeBytes } = await host.checkpoints.open(source.stateId);
    await host.checkpoints.linkInto(directory, [source.stateId], source.layers);
    const staged = await host.store.textOf(asPaused(record, source, sizeBytes));
    await writeFileAtomic(join(directory, 'sandboxes', `${sandboxId}.json`), staged);
  });
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
