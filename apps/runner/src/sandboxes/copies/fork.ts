import { errorFromUnknown, SoulBoxError } from '@soulbox/base';
import type { OperationContext } from '../operation.ts';
import type { RunningSandbox } from '../table.ts';
import { makeCopy } from './make-copy.ts';
import { orderCopies } from './order-copies.ts';
import type { CopySource } from './snapshot-store.ts';
import { tenantOfCopy } from './tenant-of-copy.ts';
import { withSource } from './with-source.ts';

const maxCount = 100;

export interface ForkRequest {
  readonly source: { readonly sandboxId: string } | { readonly snapshotId: string };
  /** 1 to 100. */
  readonly count: number;
  readonly timeoutSeconds: number;
  /** Who owns the copies of a snapshot. */
  readonly teamId: string;
}

export type ForkOutcome = { readonly sandbox: RunningSandbox } | { readonly failure: SoulBoxError };

/** Makes copies of a sandbox, running or paused, or of a snapshot, several at once. One outcome for each. */
export async function forkSandbox(context: OperationContext, request: ForkRequest): Promise<ForkOutcome[]> {
  const { count, source, timeoutSeconds } = request;
  if (!Number.isInteger(count) || count < 1 || count > maxCount) {
    throw new SoulBoxError('bad_request', `The count of copies must be 1 to ${maxCount}.`);
  }
  using _places = context.admission.enter(count);
  if ('snapshotId' in source) {
    const snapshot = context.snapshots.get(source.snapshotId);
    using _hold = context.keepsakes.hold({ states: [snapshot.stateId], layers: snapshot.layers });
    return await makeCopies(context, snapshot, false, request, request.teamId);
  }
  const outcomes = await withSource(context, source.sandboxId, async (apart, isFresh) => {
    const done = await makeCopies(context, apart, isFresh, { count, timeoutSeconds }, apart.tenant.teamId);
    context.events.emit({ event: { case: 'checkpointed', value: { sandboxId: source.sandboxId, snapshotId: '' } } });
    return done;
  });
  // A running source was saved for these copies only.
  context.background.start(async () => await context.keepsakes.collect());
  return outcomes;
}

async function makeCopies(
  context: OperationContext,
  source: CopySource,
  isFresh: boolean,
  { count, timeoutSeconds }: Pick<ForkRequest, 'count' | 'timeoutSeconds'>,
  teamId: string,
): Promise<ForkOutcome[]> {
  const order = await orderCopies(context, source, 'fork', isFresh);
  const lifecycle = { ...source.tenant.lifecycle, timeoutSeconds };
  const tenantOf = (sandboxId: string): ReturnType<typeof tenantOfCopy> =>
    tenantOfCopy(source.tenant, sandboxId, { teamId, lifecycle }, context.clock.now());
  const outcomes: ForkOutcome[] = [];
  let left = count;
  const worker = async (): Promise<void> => {
    while (left-- > 0) outcomes.push(await tryCopy(async () => await makeCopy(context, order, tenantOf)));
  };
  await Promise.all(Array.from({ length: Math.min(count, context.host.config.bootConcurrency) }, worker));
  return outcomes;
}

async function tryCopy(make: () => Promise<RunningSandbox>): Promise<ForkOutcome> {
  try {
    return { sandbox: await make() };
  } catch (error) {
    return { failure: errorFromUnknown(error) };
  }
}
