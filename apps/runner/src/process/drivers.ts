import type { Logger } from '@soulbox/base';
import { findCriu } from '@soulbox/host';
import { createDrivers as createFromTable } from '@soulbox/isolation';
import type { Driver, DriverOptions } from '@soulbox/isolation';
import { traceDriver } from './trace-driver.ts';

/** The drivers of this host, by name, prepared for sandboxes. Throws `config_invalid` if memory cannot be merged. */
export async function createDrivers(
  instance: number,
  logger: Logger,
  { mergeMemory }: Pick<DriverOptions, 'mergeMemory'> = {},
): Promise<Map<string, Driver>> {
  const criu = await findCriu((reason) => {
    logger.warn({ reason }, 'no working CRIU: sandboxes cannot be paused with their memory');
  });
  const drivers = createFromTable({ logger, instance, criu, mergeMemory });
  for (const driver of drivers.values()) await driver.prepareHost();
  return new Map([...drivers].map(([name, driver]) => [name, traceDriver(driver)]));
}
