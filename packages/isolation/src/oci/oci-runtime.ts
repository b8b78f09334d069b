import type { Logger } from '@soulbox/base';
import type { ReadText } from '@soulbox/linux/held-files';
import type { Cgroups } from '../cgroup/cgroups.ts';
import type { Driver, SandboxInstance, SandboxSpec, SandboxVolume, SavedMemory } from '../driver.ts';
import type { UserNamespaces } from '../host/user-namespaces.ts';
import type { LayerDevices } from '../root/layer-devices.ts';
import type { RootLayout } from '../root/layout.ts';

/** The values that all operations of a driver share; nothing in it is specific to a sandbox. */
export interface OciHost {
  readonly logger: Logger;
  readonly instance: number;
  /** Opened at first use: the host may be prepared after the driver is created. Throws `host_not_ready`. */
  readonly cgroups: Cgroups;
  readonly userNamespaces: UserNamespaces;
  readonly layerDevices: LayerDevices;
}

/** Where a driver keeps its files in a sandbox's folder. */
export interface OciLayout extends RootLayout {
  /** The driver's record, see record.ts. */
  readonly record: string;
}

type SharedWithDriver =
  | 'name'
  | 'capabilities'
  | 'idleCpus'
  | 'isMemoryPart'
  | 'readVersion'
  | 'probe'
  | 'prepareHost'
  | 'whyEnded'
  | 'freeze'
  | 'thaw';

/**
 * The part of a driver that depends on its OCI runtime, such as crun with CRIU, or runsc. `createOciDriver` turns it
 * into a driver: it adds the disk, the cleanup, and the order of operations on a sandbox. No method cleans up after its
 * own failure.
 */
export interface OciRuntime extends Pick<Driver, SharedWithDriver> {
  readonly host: OciHost;
  /** `read`: how the files of /proc are read, if they are. */
  isAlive(instance: SandboxInstance, read?: ReadText): boolean;
  layoutOf(sandboxId: string, directory: string): OciLayout;
  /** Creates a sandbox step by step. */
  start(spec: SandboxSpec, signal: AbortSignal): Promise<SandboxInstance>;
  /** Restores step by step what `checkpoint` saved. */
  restore(spec: SandboxSpec, memory: SavedMemory, signal: AbortSignal): Promise<SandboxInstance>;
  /** Default: there is nothing to prepare. */
  expectLateRestore?(): void;
  /** Default: nothing arrives late. */
  wantFirstBlocks?(memory: SavedMemory): void;
  /** The error of a restore that failed with `error`, with more detail from what the restore left, if there is any. */
  explainRestore?(spec: SandboxSpec, error: unknown, signal: AbortSignal): Promise<unknown>;
  checkpoint(instance: SandboxInstance, directory: string, signal: AbortSignal): Promise<void>;
  /** Adopts a start or restore that an earlier server began and that continues without it. Default: there is none. */
  adoptStarting?(sandboxId: string, directory: string): Promise<SandboxInstance | undefined>;
  /** Default: throws `capability_missing`. The paths are already checked. */
  attachVolumes?(instance: SandboxInstance, volumes: readonly SandboxVolume[], signal: AbortSignal): Promise<void>;
  /** Default: does nothing. */
  syncVolumes?(instance: SandboxInstance, signal: AbortSignal): Promise<void>;
  /** A host process whose root is the sandbox's. Throws if the sandbox does not run. */
  rootPidOf(instance: SandboxInstance): number;
  /**
   * Ends the processes of a sandbox and their control group, and removes the runtime's state of it. Works by names
   * alone, from any half-created or half-destroyed state. Can be repeated.
   */
  endProcesses(sandboxId: string, directory: string): Promise<void>;
  /** Ids of the sandboxes for which the runtime keeps files. */
  listKnown(): Promise<readonly string[]>;
}
