import type { Logger } from '@soulbox/base';
import { isolations } from '@soulbox/contract';
import type { Isolation } from '@soulbox/contract';
import type { Criu } from './container/criu.ts';
import { createContainerDriver } from './container/driver.ts';
import type { Driver } from './driver.ts';
import { createGvisorDriver } from './gvisor/driver.ts';

export interface DriverOptions {
  readonly logger: Logger;
  /** 0 to 14: separates two servers on one host. */
  readonly instance: number;
  /** For drivers that save memory with CRIU. Undefined: no CRIU works here. */
  readonly criu: Criu | undefined;
  /** Default false: the kernel keeps equal memory of sandboxes apart. Only containers merge it (`startMerging`). */
  readonly mergeMemory?: boolean | undefined;
}

/** The only table of drivers. Their names are in packages/contract, for clients and configuration. */
const createByName = {
  container: createContainerDriver,
  gvisor: createGvisorDriver,
} satisfies Record<Isolation, (options: DriverOptions) => Driver>;

/** A driver for each kind of isolation, by name, whether or not this host meets its requirements. */
export function createDrivers(options: DriverOptions): Map<Isolation, Driver> {
  return new Map(isolations.map((name) => [name, createByName[name](options)]));
}
