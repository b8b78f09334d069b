import { errorFromUnknown, SoulBoxError } from '@soulbox/base';
import { needOfNew } from '../../disk-budget/need.ts';
import type { OperationContext } from '../operation.ts';
import type { RunningSandbox } from '../table.ts';
import { makeCopy } from './make-copy.ts';
import { orderCopies } from './order-copies.ts';
import { tenantOfCopy } from './tenant-of-copy.ts';
import { sealedSource } from './source-at-hand.ts';
import type { SourceAtHand } from './source-at-hand.ts';
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

type Wanted = Pick<ForkRequest, 'count' | 'timeoutSeconds'>;

export type ForkOutcome = { readonly sandbox: RunningSandbox } | { readonly failure: SoulBoxError };

/** Makes copies of a sandbox, running or paused, or of a snapshot, several at once. One outcome for each. */
export async function forkSandbox(context: OperationContext, request: ForkRequest): Promise<ForkOutcome[]> {
  const { count, source, timeoutSeconds } = request;
  if (!Number.isInteger(count) || count < 1 || count > maxCount) {
    throw new SoulBoxError('bad_request', `The count of copies must be 1 to ${maxCount}.`);
  }
  using _places = context.admission.enter(count);
  checkRoomForCopies(context, request);
  if ('snapshotId' in source) {
    const snapshot = context.snapshots.get(source.snapshotId);
    using _hold = context.keepsakes.hold({ states: [snapshot.stateId], layers: snapshot.layers });
    return await makeCopies(context, sealedSource(context.host, snapshot), request, request.teamId);
  }
  return await withSource(context, source.sandboxId, async (atHand) => {
    const { teamId } = atHand.source.tenant;
    const done = await makeSealedCopies(context, atHand, { count, timeoutSeconds }, teamId);
    context.events.emit({ event: { case: 'checkpointed', value: { sandboxId: source.sandboxId, snapshotId: '' } } });
    return done;
  });
}

/** All of them or none: each takes its own when it starts. */
function checkRoomForCopies({ host, table, snapshots }: OperationContext, { source, count }: ForkRequest): void {
  const { diskMb } =
    'snapshotId' in source ? snapshots.get(source.snapshotId) : table.getTenants(source.sandboxId).record;
  host.disks.admit(count * needOfNew(host, diskMb), `The disks of ${count} copies`)[Symbol.dispose]();
}

/** While the copies are made their common disk is sealed; where that fails nobody hears of them. */
async function makeSealedCopies(
  context: OperationContext,
  atHand: SourceAtHand,
  wanted: Wanted,
  teamId: string,
): Promise<ForkOutcome[]> {
  const copies = makeCopies(context, atHand, wanted, teamId);
  const [made, sealed] = await Promise.allSettled([copies, atHand.sealDisk()]);
  if (made.status === 'rejected') throw made.reason;
  if (sealed.status === 'fulfilled') return made.value;
  for (const outcome of made.value) if ('sandbox' in outcome) await context.abandon(outcome.sandbox.record.sandboxId);
  throw sealed.reason;
}

async function makeCopies(
  context: OperationContext,
  atHand: SourceAtHand,
  { count, timeoutSeconds }: Wanted,
  teamId: string,
): Promise<ForkOutcome[]> {
  const { source } = atHand;
  const order = await orderCopies(context, atHand, 'fork');
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
