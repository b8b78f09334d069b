import { flushCompileCache } from 'node:module';
import { measureOwn } from '@soulbox/base';
import type { RootLogger } from '@soulbox/base';
import { createBucketRecords } from '@soulbox/contract/bucket-record-service';
import { bindMount } from '@soulbox/linux/mounts';
import { createHostPolicy, createOutsidePolicy, guardConnections } from '@soulbox/network/outside';
import { dropPrivileges } from '@soulbox/process';
import type { Cell, PartProgram, RunningPart, SupervisorOfPart } from '@soulbox/process';
import { createSocketTransport } from '@soulbox/rpc';
import { startBucketService } from './start.ts';

/** The settings of a bucket service in a process of its own. */
export interface BucketProcessSettings {
  readonly cell: Cell;
  /** Its folder, and where it is mounted: no other user may enter the folders above the original. */
  readonly dataMount: { readonly from: string; readonly to: string };
  /** An open descriptor that the process was started with: the bound socket. */
  readonly descriptor: number;
  /** Another one: our end of the channel on which the runner passes the devices of mounts. */
  readonly channel: number;
  /** On which control tells where buckets are. */
  readonly controlSocket: string;
  /** Hosts and networks at which buckets may be, although they are private (SOULBOX_BUCKET_ALLOW_PRIVATE). */
  readonly allowPrivate: readonly string[];
  /** CIDR networks that nobody reaches, beside those that are forbidden to everybody. */
  readonly deniedRanges: readonly string[];
}

export const bucketProgram: PartProgram = {
  part: 'buckets',
  start: async (settings, logger, supervisor) =>
    await run(settings as unknown as BucketProcessSettings, logger, supervisor),
};

async function run(
  settings: BucketProcessSettings,
  logger: RootLogger,
  supervisor: Pick<SupervisorOfPart, 'standby'>,
): Promise<RunningPart> {
  const { cell, dataMount, descriptor, channel, controlSocket, allowPrivate, deniedRanges } = settings;
  bindMount(dataMount.from, dataMount.to);
  const policy = createHostPolicy(allowPrivate, createOutsidePolicy(deniedRanges), '');
  // Before anything of a store is loaded, and for ever.
  guardConnections({ ...policy, sockets: [controlSocket] });
  // The compile cache cannot be written after the next step.
  flushCompileCache();
  dropPrivileges(cell);
  await using started = new AsyncDisposableStack();
  const own = logger.child({ part: 'buckets' });
  started.use(
    await startBucketService({
      directory: dataMount.to,
      place: { fd: descriptor },
      channel,
      records: createBucketRecords(createSocketTransport(controlSocket)),
      lookup: policy.lookup,
      // Programs in sandboxes wait for the next process if this one ends.
      onMounts: (count) => supervisor.standby(count > 0),
      logger: own,
    }),
  );
  own.info({}, 'the bucket service is listening');
  const measuring = new AbortController();
  started.defer(() => measuring.abort());
  const figures = measureOwn(measuring.signal);
  const owned = started.move();
  return { figures, facts: {}, stop: async () => await owned.disposeAsync() };
}
