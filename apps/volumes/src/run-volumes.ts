import { flushCompileCache } from 'node:module';
import { measureOwn } from '@soulbox/base';
import type { RootLogger } from '@soulbox/base';
import { bindMount } from '@soulbox/linux/mounts';
import { dropPrivileges } from '@soulbox/process';
import type { Cell, PartProgram, RunningPart, SupervisorOfPart } from '@soulbox/process';
import { startVolumeService } from './start.ts';
import type { VolumeStorageSettings } from './storage/connect.ts';
import { readBootId } from './volumes/volume-mounts.ts';

/** The settings of a volume service in a process of its own. */
export interface VolumeProcessSettings {
  readonly cell: Cell;
  /** The folder of the volumes, and where it is mounted: as the whole file system of the process. */
  readonly dataMount: { readonly from: string; readonly to: string };
  /** An open descriptor that the process was started with: the bound socket. */
  readonly descriptor: number;
  /** Another one: our end of the channel on which the runner passes the devices of mounts. */
  readonly channel: number;
  /** Present on a host with an object store. */
  readonly storage?: VolumeStorageSettings & {
    /** Where the socket is, and where it is made visible: beside the folder of the volumes. */
    readonly socketMount: { readonly from: string; readonly to: string };
    /** The folder of the volumes, as it is seen after the privileges are gone. */
    readonly directory: string;
  };
}

export const volumeProgram: PartProgram = {
  part: 'volumes',
  start: async (settings, logger, supervisor) =>
    await run(settings as unknown as VolumeProcessSettings, logger, supervisor),
};

async function run(
  settings: VolumeProcessSettings,
  logger: RootLogger,
  supervisor: Pick<SupervisorOfPart, 'standby'>,
): Promise<RunningPart> {
  const { cell, dataMount, descriptor, channel, storage } = settings;
  const bootId = readBootId();
  bindMount(dataMount.from, dataMount.to);
  if (storage !== undefined) bindMount(storage.socketMount.from, storage.socketMount.to);
  const { connectVolumeStore } = storage === undefined ? {} : await import('./storage/connect.ts');
  // The compile cache cannot be written after the next step.
  flushCompileCache();
  dropPrivileges(cell);
  await using started = new AsyncDisposableStack();
  const own = logger.child({ part: 'volumes' });
  // Programs in sandboxes wait for the next process if this one ends.
  const onMounts = (count: number): void => supervisor.standby(count > 0);
  const place = { fd: descriptor };
  const directory = storage?.directory ?? '/';
  const store = storage && connectVolumeStore?.(storage, { directory, logger: own });
  started.use(
    await startVolumeService({
      ...{ directory, place, channel, bootId, onMounts, logger: own },
      ...(store === undefined ? {} : { store }),
    }),
  );
  own.info({}, 'the volume service is listening');
  const measuring = new AbortController();
  started.defer(() => measuring.abort());
  const figures = measureOwn(measuring.signal);
  const owned = started.move();
  return { figures, facts: {}, stop: async () => await owned.disposeAsync() };
}
