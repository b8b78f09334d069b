import type { Logger } from '@soulbox/base';
import { findCriu } from '@soulbox/host';
import { createContainerDriver, createGvisorDriver, removeLeftRoots } from '@soulbox/isolation';
import type { Driver } from '@soulbox/isolation';

/** The ways to wall a sandbox off that this host offers, by name. */
export async function createDrivers(instance: number, logger: Logger): Promise<Map<string, Driver>> {
  const criu = await findCriu();
  if (criu === undefined) logger.warn({}, 'no working CRIU: sandboxes cannot be paused with their memory');
  else await removeLeftRoots();
  const container = createContainerDriver({ logger, instance, ...(criu === undefined ? {} : { criu }) });
  const gvisor = createGvisorDriver({ logger, instance });
  return new Map([container, gvisor].map((driver) => [driver.name, driver]));
}
