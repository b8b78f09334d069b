import { SoulBoxError } from '@soulbox/base';
import type { SandboxVolume } from '@soulbox/isolation';
import type { VolumeOfSandbox } from '../registry/record.ts';

/**
 * File systems of volumes for one sandbox. Disposed when the sandbox has them, or will not get them. That waits until
 * `served` is settled.
 */
export interface OpenedVolumes extends AsyncDisposable {
  readonly volumes: readonly SandboxVolume[];
  /**
   * The volume service has them. Before, they can be mounted, and calls of programs wait. Rejects with
   * `volume_not_found` and `volumes_unavailable`; then they are released.
   */
  readonly served: Promise<void>;
}

/** The volumes that sandboxes have mounted. They are served by the volume service, and outlive this process. */
export interface VolumeMounts {
  /**
   * Makes a file system for each volume. The first one gets the number `firstIndex` in the sandbox. Throws
   * `capability_missing`, and then has made none.
   */
  open(sandboxId: string, volumes: readonly VolumeOfSandbox[], firstIndex?: number): Promise<OpenedVolumes>;
  /** What was written to them survives a crash of the host, as the saved memory of a pause does. Never throws. */
  sync(volumes: readonly VolumeOfSandbox[]): Promise<void>;
  /**
   * Copies what the volume has at this moment to a new volume of its group and team. Writes to the source go on. Throws the
   * errors of the service, such as `limit_exceeded`, and `volumes_unavailable` after 30 s. Then the copy may be there.
   */
  copy(volume: VolumeOfSandbox, copy: { readonly copyId: string; readonly isReadOnly: boolean }): Promise<void>;
  /**
   * The backup that is being made gets what the volume has at this moment. Throws the errors of the service, and
   * `volumes_unavailable` after 5 s.
   */
  holdForBackup(volume: VolumeOfSandbox): Promise<void>;
  /** Goes on with what an earlier runner made for a sandbox that still runs. Never throws. */
  adopt(sandboxId: string): Promise<void>;
  /**
   * Writes to their stores what programs have written to open files of buckets. The sandbox is frozen, and its memory will
   * be saved: a restore finds its open files by their names. Throws the error of the store.
   */
  writeOpenFiles(sandboxId: string): Promise<void>;
  /**
   * The sandbox is about to be ended. Before its processes are killed: one that waits for a service that is gone ends only
   * when nobody has the device any more. Safe to repeat; never throws.
   */
  release(sandboxId: string): Promise<void>;
  /** Releases what is left of all other sandboxes. Never throws. */
  releaseExcept(isKnown: (sandboxId: string) => boolean): Promise<void>;
}

/** On a host without a volume service. */
export const noVolumes: VolumeMounts = {
  open: refuse,
  copy: refuse,
  holdForBackup: refuse,
  sync: async () => await Promise.resolve(),
  adopt: async () => await Promise.resolve(),
  writeOpenFiles: async () => await Promise.resolve(),
  release: async () => await Promise.resolve(),
  releaseExcept: async () => await Promise.resolve(),
};

async function refuse(): Promise<never> {
  return await Promise.reject(new SoulBoxError('capability_missing', 'This server has no service for volumes.'));
}
