import { closeSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { BucketProcessSettings } from '@soulbox/bucket-service';
import { bindUnix, userOf } from '@soulbox/process';
import type { BoxConfig } from '../config.ts';
import { bucketsDirectoryIn } from '../data-folder.ts';
import { loadPart } from './keep-part.ts';
import type { KeepOptions } from './keep-part.ts';
import { firstDescriptor } from './launch.ts';
import { makeBucketsFolder } from './part-folders.ts';
import type { BucketsFolder } from './part-folders.ts';
import { startWhenWanted } from './start-when-wanted.ts';
import type { WantedPart } from './start-when-wanted.ts';

const bucketsMain = fileURLToPath(import.meta.resolve('@soulbox/bucket-service/main'));

export interface BucketsPartOptions extends Pick<
  KeepOptions,
  'logger' | 'launch' | 'hasStandby' | 'onGivenUp' | 'onProcess'
> {
  readonly config: BoxConfig;
  /** The user of the control plane. */
  readonly control: number;
  /** Its end of the channel on which the runner passes devices. */
  readonly channel: number;
  readonly environment: Readonly<Record<string, string>>;
}

/** The bucket service, and what others need to know of it. */
export interface BucketsPart extends Disposable {
  readonly id: number;
  readonly folder: BucketsFolder;
  readonly part: WantedPart;
}

/** What SDKs of stores would look for on a host, although each is told its credentials. */
const sdkEnvironment = {
  // The user has none, and Node fails to look for it.
  HOME: '/nonexistent',
  AWS_EC2_METADATA_DISABLED: 'true',
  AWS_CONFIG_FILE: '/dev/null',
  AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
  // Of buckets whose URL names none.
  AWS_REGION: 'us-east-1',
} as const;

/** Most servers have no buckets, so it starts when it is needed. */
export async function prepareBuckets(options: BucketsPartOptions): Promise<BucketsPart> {
  const { config, control, channel, environment, ...kept } = options;
  const { instance } = config.runner;
  const id = userOf(instance, 'buckets');
  const folder = await makeBucketsFolder(instance, { buckets: id, control });
  const socket = bindUnix(folder.socket, id);
  const load = (): ReturnType<typeof loadPart> =>
    loadPart({
      ...kept,
      plan: {
        name: 'buckets',
        logNames: ['buckets'],
        program: bucketsMain,
        namespaces: ['--mount', '--ipc'],
        descriptors: [socket, channel],
        environment: { ...environment, ...sdkEnvironment },
      },
      settings: (): BucketProcessSettings & { logLevel: string } => ({
        logLevel: config.logLevel,
        cell: { id, opensConnections: true },
        dataMount: { from: bucketsDirectoryIn(config.dataDirectory), to: folder.data },
        descriptor: firstDescriptor,
        channel: firstDescriptor + 1,
        controlSocket: folder.controlSocket,
        allowPrivate: config.api.bucketAllowPrivate,
        deniedRanges: config.deniedRanges,
      }),
    });
  return {
    ...{ id, folder },
    part: startWhenWanted('buckets', load, kept.logger),
    [Symbol.dispose]: () => closeSync(socket),
  };
}
