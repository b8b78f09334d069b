import { illegalStep } from '../lifecycle.ts';
import type { OperationContext } from '../operation.ts';
import type { SandboxRecord } from '../record.ts';
import { isRunning } from '../table.ts';
import { withPaused } from './of-paused.ts';
import { withRunning } from './of-running.ts';
import { hasSmallDisk, saveBeside } from './save-beside.ts';
import { shortenChain } from './shorten-chain.ts';
import type { SourceAtHand } from './source-at-hand.ts';

export type UseSource<T> = (atHand: SourceAtHand) => Promise<T>;

/**
 * Calls `use` with what copies of a sandbox are made of, and keeps that until it is done. A running sandbox with a small disk
 * goes on before; one with a large disk goes on at the same time, as a copy of itself, and may not be paused or ended
 * meanwhile (docs/decisions/013). Throws `illegal_transition` for a sandbox in the middle of something else.
 */
export async function withSource<T>(context: OperationContext, sandboxId: string, use: UseSource<T>): Promise<T> {
  const { table } = context;
  const { record } = table.getTenants(sandboxId);
  checkSource(record);
  // By the end nothing is held any more: what was saved in vain, or for copies that are made now, can go.
  using _collection = afterwards(context);
  using chain = await shortenChain(context, record.layers);
  await using kept = new AsyncDisposableStack();
  const outcome = await table.alone(sandboxId, async () => {
    const sandbox = table.getTenants(sandboxId);
    checkSource(sandbox.record);
    if (!isRunning(sandbox)) return { done: await withPaused(context, sandbox, chain, use) };
    if (!(await hasSmallDisk(sandbox))) return { done: await withRunning(context, sandbox, chain, use) };
    return { beside: kept.use(await saveBeside(context, sandbox, chain)) };
  });
  return 'done' in outcome ? outcome.done : await use(outcome.beside);
}

function afterwards({ background, keepsakes }: OperationContext): Disposable {
  return { [Symbol.dispose]: () => background.start(async () => await keepsakes.collect()) };
}

function checkSource(record: SandboxRecord): void {
  if (record.state === 'running' || record.state === 'paused') return;
  throw illegalStep(record.sandboxId, record.state, 'snapshotting');
}
