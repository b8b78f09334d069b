import { SoulBoxError } from '@soulbox/base';
import { illegalStep } from '../lifecycle.ts';
import type { OperationContext } from '../operation.ts';
import type { SandboxRecord } from '../record.ts';
import type { RunningSandbox, TenantSandbox } from '../table.ts';
import { isRunning } from '../table.ts';
import { shareDisk } from './of-paused.ts';
import { continueSource, takeApart } from './of-running.ts';
import { shortenChain } from './shorten-chain.ts';
import type { ShortChain } from './shorten-chain.ts';
import type { CopySource } from './snapshot-store.ts';

/**
 * `isFresh`: this server has just saved it, so it need not be checked. `sealed` resolves when the topmost layer is on the
 * disk with its digests; copies need not wait for that.
 */
export type UseSource<T> = (source: CopySource, isFresh: boolean, sealed: Promise<void>) => Promise<T>;

/**
 * Calls `use` with what copies of a sandbox are made of, and keeps that until it is done. A running source goes on at the same
 * time; it may not be paused or ended meanwhile. One that cannot go on is paused then, which its record, its log and an event
 * say: what was made of it stays. Throws `illegal_transition` for a sandbox in the middle of something else.
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
  const startedAt = performance.now();
  const state = await takeApart(context, sandbox, chain);
  const { sandboxId, layers, work } = sandbox.record;
  const layerId = work?.layerId ?? '';
  using _hold = context.keepsakes.hold({ states: [state.stateId], layers });
  const source = sourceFrom(sandbox, { stateId: state.stateId, hasMemory: true });
  const goesOn = continueSource(context, sandbox, state).then(
    () => context.host.logger.info({ sandboxId, durationMs: since(startedAt) }, 'sandbox saved while it runs'),
    (err: unknown) => context.host.logger.error({ sandboxId, err }, 'sandbox saved, but paused now'),
  );
  // Afterwards, because nobody waits for digests as much as for the source.
  const sealed = goesOn.then(async () => await sealTop(context, layers, layerId));
  const [outcome] = await Promise.allSettled([useTop(layers, layerId, () => use(source, true, sealed)), sealed]);
  await sealed;
  await context.table.update(sandbox, { work: undefined });
  if (outcome.status === 'rejected') throw outcome.reason;
  return outcome.value;
}

/** Memory without the disk it was saved with is of no use to a copy. */
async function useTop<T>(layers: readonly string[], layerId: string, use: () => Promise<T>): Promise<T> {
  if (layers.includes(layerId)) return await use();
  throw new SoulBoxError('checkpoint_failed', 'The disk of the sandbox could not be shared; it goes on with it.');
}

function since(startedAt: number): number {
  return Math.round(performance.now() - startedAt);
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
