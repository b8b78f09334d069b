import type { Logger } from '@soulbox/base';
import { isolations } from '@soulbox/contract';
import type { Isolation } from '@soulbox/contract';
import type { Criu } from './container/criu.ts';
import { createContainerDriver } from './container/driver.ts';
import type { Driver } from './driver.ts';
import { createGvisorDriver } from './gvisor/driver.ts';

export interface DriverOptions {
  readonly logger: Logger;
  /** 0 to 14: keeps two servers of one host apart. */
  readonly instance: number;
  /** For drivers that save memory with it. Undefined: there is none that works here. */
  readonly criu: Criu | undefined;
}

/** The one table of drivers. Their names stand in packages/contract, for clients and configuration. */
const createByName = {
  container: createContainerDriver,
  gvisor: createGvisorDriver,
} satisfies Record<Isolation, (options: DriverOptions) => Driver>;

/** A driver for each way to isolate a sandbox, by name, whether this host has what it needs or not. */
export function createDrivers(options: DriverOptions): Map<Isolation, Driver> {
  return new Map(isolations.map((name) => [name, createByName[name](options)]));
}
