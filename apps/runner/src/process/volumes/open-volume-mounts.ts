import { closeSync, openSync } from 'node:fs';
import { isRunning, randomId, SoulBoxError } from '@soulbox/base';
import type { Logger } from '@soulbox/base';
import { negotiateMount } from '@soulbox/fuse';
import type { SandboxVolume } from '@soulbox/isolation';
import { createFuseMount } from '@soulbox/linux/mount-objects';
import type { VolumeMounts } from '../../processes/volume-mounts.ts';
import type { VolumeOfSandbox } from '../../registry/record.ts';
import { endHolder, firstKeptFd, startHolder } from './device-holder.ts';
import { setReadAhead } from './read-ahead.ts';
import { openKeptFiles } from './kept-file.ts';
import type { Kept, KeptMount } from './kept-file.ts';
import { bucketService, createServiceLink, volumeService } from './service-link.ts';
import type { ServiceLink, ServiceLinkOptions } from './service-link.ts';

type ServiceOptions = Pick<ServiceLinkOptions, 'socketPath' | 'channel' | 'wake'>;

export interface VolumeMountOptions {
  readonly service: ServiceOptions;
  /** Absent: sandboxes can mount no buckets. */
  readonly bucketService?: ServiceOptions;
  /** For what must be known as long as the host runs. */
  readonly folder: string;
  readonly logger: Logger;
}

/** A file system that is mounted nowhere yet, with its device. */
interface Made extends SandboxVolume {
  readonly device: number;
  readonly kept: KeptMount;
}

/** Volumes and buckets of sandboxes (docs/decisions/067-volumes-in-sandboxes.md, 068-buckets.md). */
export function openVolumeMounts(options: VolumeMountOptions): VolumeMounts & AsyncDisposable {
  const { folder, logger } = options;
  const volumeLink = createServiceLink({ ...options.service, kind: volumeService, logger });
  const bucketLink =
    options.bucketService === undefined
      ? undefined
      : createServiceLink({ ...options.bucketService, kind: bucketService, logger });
  const findLink = ({ isBucket }: VolumeOfSandbox): ServiceLink | undefined => (isBucket ? bucketLink : volumeLink);
  const linkOf = (volume: VolumeOfSandbox): ServiceLink => {
    const link = findLink(volume);
    if (link !== undefined) return link;
    throw new SoulBoxError('capability_missing', 'This server has no service for buckets.');
  };
  const files = openKeptFiles(folder);

  const make = async (sandboxId: string, volume: VolumeOfSandbox, index: number, position: number): Promise<Made> => {
    const device = openDevice();
    let mount: number | undefined;
    try {
      const { path, isReadOnly, isBucket } = volume;
      mount = createFuseMount({ device, source: `volume-${index}`, isReadOnly });
      const negotiated = await negotiateMount(device, { locks: !isBucket, autoInvalidate: true });
      setReadAhead(mount, logger);
      const mountId = `${sandboxId}-${randomId(8)}-${index}`;
      const kept = {
        mountId,
        fd: firstKeptFd + position,
        negotiated: { ...negotiated, flags: [...negotiated.flags] },
        volume,
      };
      return { device, mount, index, path, writesAtClose: isBucket, kept };
    } catch (error) {
      if (mount !== undefined) closeSync(mount);
      closeSync(device);
      throw error;
    }
  };
  const keep = async (sandboxId: string, made: readonly Made[]): Promise<Kept[number]> => {
    const { stay, ...holder } = await startHolder(made.map(({ device }) => device));
    const one = { holder, mounts: made.map(({ kept }) => kept) };
    try {
      await files.write(sandboxId, [...(await files.read(sandboxId)), one]);
      stay();
      return one;
    } catch (error) {
      endHolder(one.holder);
      throw error;
    }
  };
  const release = async (sandboxId: string): Promise<void> => {
    const kept = await files.read(sandboxId);
    for (const { holder, mounts } of kept) {
      for (const { mountId, volume } of mounts) findLink(volume)?.forget(mountId);
      endHolder(holder);
    }
    if (kept.length > 0) await files.remove(sandboxId);
  };

  /** Gives the devices to a holder, and then to the service. */
  const serve = async (sandboxId: string, made: readonly Made[], devices: DisposableStack): Promise<void> => {
    using _devices = devices;
    const { holder, mounts } = await keep(sandboxId, made);
    devices.dispose();
    try {
      for (const mount of mounts) await linkOf(mount.volume).serve({ ...mount, holder }, { isTakeover: false });
    } catch (error) {
      await release(sandboxId);
      throw error;
    }
  };

  const releaseSafely = async (sandboxId: string): Promise<void> => {
    await release(sandboxId).catch((err: unknown) => {
      logger.error({ err, sandboxId }, 'volumes of a sandbox could not be released');
    });
  };

  return {
    async open(sandboxId, volumes, firstIndex = 0) {
      const made: Made[] = [];
      using unused = new DisposableStack();
      // Until somebody else has them.
      using devices = new DisposableStack();
      for (const [position, volume] of volumes.entries()) {
        const one = await make(sandboxId, volume, firstIndex + position, position);
        made.push(one);
        unused.defer(() => closeSync(one.mount));
        devices.defer(() => closeSync(one.device));
      }
      const served = serve(sandboxId, made, devices.move());
      // Whoever disposes the result without having waited has an error of its own.
      served.catch(() => undefined);
      const owned = unused.move();
      return {
        volumes: made,
        served,
        async [Symbol.asyncDispose]() {
          await served.catch(() => undefined);
          owned.dispose();
        },
      };
    },
    async sync(volumes) {
      for (const volume of volumes.filter(({ isBucket }) => !isBucket))
        await linkOf(volume)
          .sync(volume)
          .catch((err: unknown) => {
            logger.warn({ err, volumeId: volume.volumeId }, 'a volume of a paused sandbox could not be flushed');
          });
    },
    copy: async (volume, copy) => await linkOf(volume).copy(volume, copy),
    holdForBackup: async (volume) => await linkOf(volume).holdForBackup(volume),
    async adopt(sandboxId) {
      for (const { holder, mounts } of await files.read(sandboxId)) {
        if (isRunning(holder)) for (const mount of mounts) findLink(mount.volume)?.keep({ ...mount, holder });
        else logger.error({ sandboxId }, 'volumes of a sandbox are lost: the process that kept them was ended');
      }
    },
    async writeOpenFiles(sandboxId) {
      for (const { mounts } of await files.read(sandboxId))
        for (const { mountId, volume } of mounts) if (volume.isBucket) await bucketLink?.sync(volume, mountId);
    },
    release: releaseSafely,
    async releaseExcept(isKnown) {
      for (const sandboxId of await files.list().catch(() => []))
        if (!isKnown(sandboxId)) await releaseSafely(sandboxId);
      volumeLink.noteComplete();
      bucketLink?.noteComplete();
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([volumeLink[Symbol.asyncDispose](), bucketLink?.[Symbol.asyncDispose]()]);
    },
  };
}

function openDevice(): number {
  try {
    return openSync('/dev/fuse', 'r+');
  } catch (error) {
    throw new SoulBoxError('capability_missing', 'Volumes cannot be mounted, because this host has no /dev/fuse.', {
      cause: error,
    });
  }
}
