import type { Logger } from '@soulbox/base';
import type { Cgroups } from '../cgroup/cgroups.ts';
import type { Driver, SandboxInstance, SandboxSpec, SavedMemory } from '../driver.ts';
import type { RootLayout } from '../root/layout.ts';

/** What all operations of a driver share; nothing in it is about a particular sandbox. */
export interface OciHost {
  readonly logger: Logger;
  readonly instance: number;
  /** Opened at first use: the host may be prepared after the driver is made. Throws `host_not_ready`. */
  readonly cgroups: Cgroups;
}

/** Where a driver keeps what in a sandbox's folder. */
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
  | 'isAlive'
  | 'whyEnded'
  | 'freeze'
  | 'thaw';

/**
 * What a driver's own folder does with its OCI runtime, such as crun with CRIU, or runsc. `createOciDriver` makes a driver of it: it adds
 * disk, clean-up, and the order of what is under way for a sandbox. No method cleans up after itself when it fails.
 */
export interface OciRuntime extends Pick<Driver, SharedWithDriver> {
  readonly host: OciHost;
  layoutOf(sandboxId: string, directory: string): OciLayout;
  /** Makes a sandbox step by step. */
  start(spec: SandboxSpec, signal: AbortSignal): Promise<SandboxInstance>;
  /** Restores what `checkpoint` saved, step by step. */
  restore(spec: SandboxSpec, memory: SavedMemory, signal: AbortSignal): Promise<SandboxInstance>;
  /** The error of a restore that failed with `error`, read from what it left, if that tells more. */
  explainRestore?(spec: SandboxSpec, error: unknown, signal: AbortSignal): Promise<unknown>;
  checkpoint(instance: SandboxInstance, directory: string, signal: AbortSignal): Promise<void>;
  /** Takes over a start or restore that an earlier server began and that goes on without it. Default: there is none. */
  adoptStarting?(sandboxId: string, directory: string): Promise<SandboxInstance | undefined>;
  /** A host process whose root is the sandbox's. Throws when the sandbox does not run. */
  rootPidOf(instance: SandboxInstance): number;
  /**
   * Ends the processes of a sandbox with their control group, and lets the runtime forget it. Works by names alone, from any half-made or
   * half-destroyed state. Safe to repeat.
   */
  endProcesses(sandboxId: string, directory: string): Promise<void>;
  /** Ids of the sandboxes that the runtime keeps files about. */
  listKnown(): Promise<readonly string[]>;
}
