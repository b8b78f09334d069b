import { errorFromUnknown, measureOperation, phase, SoulBoxError } from '@soulbox/base';
import { needOfNew } from '../../processes/disk-need.ts';
import type { OperationContext } from '../operation-context.ts';
import type { RunningSandbox, TenantSandbox } from '../../registry/table.ts';
import { serveCopy, startCopy } from './make-copy.ts';
import { checkVolumes, copyFirst, copyOthers, mountsWithCopies, refuseIfCallerIsGone } from './own-volumes.ts';
import type { VolumeCopy } from './own-volumes.ts';
import { orderCopies } from './order-copies.ts';
import type { CopySource } from '../../registry/snapshot-store.ts';
import { tenantOfCopy } from './tenant-of-copy.ts';
import { sealedSource } from './source-at-hand.ts';
import type { SourceAtHand, UseSource } from './source-at-hand.ts';
import type { AtMoment } from './at-moment.ts';
import { withSource } from './with-source.ts';

const maxCount = 100;

export interface ForkRequest {
  readonly source: { readonly sandboxId: string } | { readonly snapshotId: string };
  /** 1 to 100. */
  readonly count: number;
  readonly timeoutSeconds: number;
  /** The owner of copies of a snapshot. */
  readonly teamId: string;
  /** The API key that makes the copies. Empty: unknown. */
  readonly keyId: string;
  /** Empty: the fork is not repeated. */
  readonly creationId: string;
  /** Copies have an access token even if the source has none. */
  readonly secure: boolean;
  /** One set of volumes for each copy. Default: copies share the volumes of the source. */
  readonly ownVolumes?: readonly (readonly VolumeCopy[])[];
  /** With `ownVolumes`, no copy is announced after this is aborted: the caller would remove its volumes. */
  readonly signal?: AbortSignal;
}

type Wanted = Pick<
  ForkRequest,
  'count' | 'timeoutSeconds' | 'keyId' | 'creationId' | 'secure' | 'ownVolumes' | 'signal'
>;

export type ForkOutcome = { readonly sandbox: RunningSandbox } | { readonly failure: SoulBoxError };

/** Makes several copies of a running or paused sandbox or of a snapshot. Returns one outcome for each. */
export async function forkSandbox(context: OperationContext, request: ForkRequest): Promise<ForkOutcome[]> {
  const { count, source, ownVolumes = [] } = request;
  const { volumes } = context.host;
  if (!Number.isInteger(count) || count < 1 || count > maxCount) {
    throw new SoulBoxError('bad_request', `The number of copies must be 1 to ${maxCount}.`);
  }
  return await measureOperation('fork', async (finish) => {
    if (ownVolumes.length > 0 && ownVolumes.length !== count)
      throw new SoulBoxError('bad_request', 'Each copy must have a set of volumes, or none.');
    using _admitted = context.admission.enter(count);
    checkRoomForCopies(context, request);
    if ('snapshotId' in source) {
      const snapshot = context.snapshots.get(source.snapshotId);
      using _hold = context.references.hold({ checkpoints: [snapshot.stateId], layers: snapshot.layers });
      requireOwnVolumes(snapshot, ownVolumes.length > 0);
      checkVolumes(snapshot, request.teamId);
      await copyFirst(volumes, snapshot.volumes, ownVolumes);
      const done = await makeCopies(context, sealedSource(context.host, snapshot), request, request.teamId);
      context.host.logger.info({ ...source, count, ...finish() }, 'copies made');
      return done;
    }
    const use: UseSource<ForkOutcome[]> = async (atHand) => {
      const { teamId } = atHand.source.tenant;
      const done = await makeCopies(context, atHand, request, teamId);
      context.host.logger.info({ ...source, count, ...finish() }, 'copies made');
      context.events.emit({ kind: 'checkpointed', sandboxId: source.sandboxId, snapshotId: '' });
      return done;
    };
    const copyAtMoment: AtMoment = async (mounted) => await copyFirst(volumes, mounted, ownVolumes);
    return await withSource(context, source.sandboxId, use, copyAtMoment);
  });
}

/** Checks that all copies fit together. Each reserves its own room when it starts. */
function checkRoomForCopies({ host, table, snapshots }: OperationContext, { source, count }: ForkRequest): void {
  const { diskMb } =
    'snapshotId' in source ? snapshots.get(source.snapshotId) : table.getTenants(source.sandboxId).record;
  host.disks.admit(count * needOfNew(host, diskMb), `The disks of ${count} copies`)[Symbol.dispose]();
}

/** Seals the common disk while the copies start. When that fails, all copies are removed before any is announced. */
async function makeCopies(
  context: OperationContext,
  atHand: SourceAtHand,
  wanted: Wanted,
  teamId: string,
): Promise<ForkOutcome[]> {
  const { ownVolumes = [] } = wanted;
  checkVolumes(atHand.source, teamId);
  await copyOthers(context.host.volumes, atHand.source.volumes, ownVolumes);
  const [started, sealed] = await Promise.allSettled([
    phase('copies', async () => await startCopies(context, atHand, wanted, teamId)),
    phase('seal', async () => await atHand.sealDisk()),
  ]);
  if (started.status === 'rejected') throw started.reason;
  try {
    if (sealed.status === 'rejected') throw sealed.reason;
    if (ownVolumes.length > 0) refuseIfCallerIsGone(wanted.signal);
  } catch (error) {
    for (const copy of started.value) if ('sandbox' in copy) await context.abandon(copy.sandbox.record.sandboxId);
    throw error;
  }
  return await Promise.all(started.value.map((copy) => serveStarted(context, copy)));
}

/** Throws `bad_request` if sandboxes of the snapshot would share what is meant for each of them. */
export function requireOwnVolumes({ ownVolumes = false }: Pick<CopySource, 'ownVolumes'>, areGiven: boolean): void {
  if (ownVolumes && !areGiven)
    throw new SoulBoxError('bad_request', 'Each sandbox of this snapshot needs volumes of its own.');
}

type Started = { readonly sandbox: TenantSandbox } | { readonly failure: SoulBoxError };

async function startCopies(
  context: OperationContext,
  atHand: SourceAtHand,
  { count, timeoutSeconds, keyId, creationId, secure, ownVolumes = [] }: Wanted,
  teamId: string,
): Promise<Started[]> {
  const { source } = atHand;
  const order = await orderCopies(context, atHand, 'fork', count);
  await using _memory = order.memory;
  const lifecycle = { ...source.tenant.lifecycle, timeoutSeconds };
  // Any token in the source makes a new one for the copy.
  const envdAccessToken = secure ? 'wanted' : source.tenant.envdAccessToken;
  const own = { teamId, keyId, creationId, lifecycle, envdAccessToken };
  const tenantOf = (sandboxId: string): ReturnType<typeof tenantOfCopy> =>
    tenantOfCopy(source.tenant, sandboxId, own, context.clock.now());
  const started: Started[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) {
      const index = next++;
      const volumes = mountsWithCopies(source.volumes, ownVolumes[index]);
      started[index] = await orFailure(startCopy(context, { ...order, source: { ...source, volumes } }, tenantOf));
    }
  };
  await Promise.all(Array.from({ length: Math.min(count, context.host.config.bootConcurrency) }, worker));
  return started;
}

async function serveStarted(context: OperationContext, copy: Started): Promise<ForkOutcome> {
  return 'failure' in copy ? copy : await orFailure(serveCopy(context, copy.sandbox));
}

async function orFailure<T>(making: Promise<T>): Promise<{ readonly sandbox: T } | { readonly failure: SoulBoxError }> {
  try {
    return { sandbox: await making };
  } catch (error) {
    return { failure: errorFromUnknown(error) };
  }
}
