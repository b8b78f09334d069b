import { illegalStep } from '../lifecycle.ts';
import type { OperationContext } from '../operation.ts';
import type { SandboxRecord } from '../record.ts';
import type { RunningSandbox, TenantSandbox } from '../table.ts';
import { isRunning } from '../table.ts';
import { shareDisk } from './of-paused.ts';
import { takeApart } from './of-running.ts';
import { shortenChain } from './shorten-chain.ts';
import type { ShortChain } from './shorten-chain.ts';
import type { CopySource } from './snapshot-store.ts';

/**
 * `isFresh`: this server has just saved it, so it need not be checked. `sealed` resolves when the topmost layer is on the
 * disk with its digests; copies need not wait for that.
 */
export type UseSource<T> = (source: CopySource, isFresh: boolean, sealed: Promise<void>) => Promise<T>;

/**
 * Calls `use` with what copies of a sandbox are made of, and keeps that until it is done. A running source runs again
 * before; it may not be paused or ended meanwhile. Throws `illegal_transition` for a sandbox in the middle of something else.
 */
export async function withSource<T>(context: OperationContext, sandboxId: string, use: UseSource<T>): Promise<T> {
  const { table } = context;
  const { record } = table.getTenants(sandboxId);
  checkSource(record);
  using chain = await shortenChain(context, record.layers);
  return await table.alone(sandboxId, async () => {
    const sandbox = table.getTenants(sandboxId);
    checkSource(sandbox.record);
    return isRunning(sandbox)
      ? await withRunning(context, sandbox, chain, use)
      : await withPaused(context, sandbox, chain, use);
  });
}

function checkSource(record: SandboxRecord): void {
  if (record.state === 'running' || record.state === 'paused') return;
  throw illegalStep(record.sandboxId, record.state, 'snapshotting');
}

async function withRunning<T>(
  context: OperationContext,
  sandbox: RunningSandbox,
  chain: ShortChain,
  use: UseSource<T>,
): Promise<T> {
  const stateId = await takeApart(context, sandbox, chain);
  const { layers, work } = sandbox.record;
  using _hold = context.keepsakes.hold({ states: [stateId], layers });
  const source = sourceFrom(sandbox, { stateId, hasMemory: true });
  const sealed = sealTop(context, layers, work?.layerId ?? '');
  const [outcome] = await Promise.allSettled([use(source, true, sealed), sealed]);
  await sealed;
  await context.table.update(sandbox, { work: undefined });
  if (outcome.status === 'rejected') throw outcome.reason;
  return outcome.value;
}

/** The layer is there only if the disk could be turned into one. */
async function sealTop(context: OperationContext, layers: readonly string[], layerId: string): Promise<void> {
  if (layers.includes(layerId)) await context.host.states.sealLayer(layerId);
}

async function withPaused<T>(
  context: OperationContext,
  sandbox: TenantSandbox,
  chain: ShortChain,
  use: UseSource<T>,
): Promise<T> {
  const { saved } = sandbox.record;
  if (saved === undefined) throw new Error('a paused sandbox names no state');
  await shareDisk(context, sandbox, chain);
  using _hold = context.keepsakes.hold({ states: [saved.stateId], layers: sandbox.record.layers });
  return await use(sourceFrom(sandbox, saved), false, Promise.resolve());
}

function sourceFrom({ record }: TenantSandbox, memory: Pick<CopySource, 'stateId' | 'hasMemory'>): CopySource {
  const { layers, driver, templateId, runtimeDirectory, cpuCount, memoryMb, diskMb, tenant } = record;
  const { stateId, hasMemory } = memory;
  return { stateId, hasMemory, layers, driver, templateId, runtimeDirectory, cpuCount, memoryMb, diskMb, tenant };
}
