import { SoulBoxError } from '@soulbox/base';
import { illegalStep } from '../../registry/lifecycle.ts';
import type { OperationContext } from '../operation-context.ts';
import type { HostRecord } from '../../registry/record.ts';
import { finishPause } from '../pause/finish-pause.ts';
import { isRunning } from '../../registry/table.ts';
import { withPaused } from './of-paused.ts';
import { withRunning } from './of-running.ts';
import type { AtMoment } from './at-moment.ts';
import { hasSmallDisk, saveBeside } from './save-beside.ts';
import { shortenChain } from '../layers/shorten-chain.ts';
import type { UseSource } from './source-at-hand.ts';

/**
 * Calls `use` with the source of copies of a sandbox, and holds that source until `use` is done. A running sandbox with
 * a small disk continues before the call. One with a large disk continues during it, as a copy of itself, and may not
 * be paused or ended meanwhile (docs/decisions/013). Before that, waits for steps in progress and completes an
 * answered pause. Throws `checkpoint_failed` when the pause cannot be completed yet.
 *
 * `atMoment` is called with the volumes of the sandbox while nothing in it runs, after its memory is saved. If it fails, so
 * does this, and a running sandbox continues.
 */
export async function withSource<T>(
  context: OperationContext,
  sandboxId: string,
  use: UseSource<T>,
  atMoment: AtMoment = async () => await Promise.resolve(),
): Promise<T> {
  const { table } = context;
  const { record } = table.getTenants(sandboxId);
  // Nothing is held at the end, so a checkpoint that was saved only for these copies can be removed.
  using _collection = afterwards(context);
  using chain = await shortenChain(context, record.layers);
  await using kept = new AsyncDisposableStack();
  const outcome = await table.alone(sandboxId, async () => {
    const sandbox = table.getTenants(sandboxId);
    if (sandbox.record.state === 'pausing') await finishPause(context, sandbox);
    checkSource(sandbox.record);
    if (!isRunning(sandbox)) {
      await atMoment(sandbox.record.volumes);
      return { done: await withPaused(context, sandbox, chain, use) };
    }
    if (!hasSmallDisk(sandbox)) return { done: await withRunning(context, sandbox, { chain, atMoment }, use) };
    return { beside: kept.use(await saveBeside(context, sandbox, { chain, atMoment })) };
  });
  return 'done' in outcome ? outcome.done : await use(outcome.beside);
}

function afterwards({ background, references }: OperationContext): Disposable {
  return { [Symbol.dispose]: () => background.start(async () => await references.collect()) };
}

function checkSource(record: HostRecord): void {
  if (record.state === 'running' || record.state === 'paused') return;
  if (record.state !== 'pausing') throw illegalStep(record.sandboxId, record.state, 'snapshotting');
  throw new SoulBoxError('checkpoint_failed', `Sandbox "${record.sandboxId}" is still being paused. Retry.`);
}
