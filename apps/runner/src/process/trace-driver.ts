import { withSpan } from '@soulbox/base';
import type { Driver } from '@soulbox/isolation';

/** The same driver, whose steps in the life of a sandbox are spans of the current trace. */
export function traceDriver(driver: Driver): Driver {
  const attributes = { 'soulbox.driver': driver.name };
  const step = async <T>(name: string, work: () => Promise<T>): Promise<T> =>
    await withSpan({ name: `driver.${name}`, attributes, needsParent: true }, work);
  return {
    ...driver,
    start: async (spec) => await step('start', () => driver.start(spec)),
    freeze: async (instance) => await step('freeze', () => driver.freeze(instance)),
    thaw: async (instance) => await step('thaw', () => driver.thaw(instance)),
    checkpoint: async (instance, folder) => await step('checkpoint', () => driver.checkpoint(instance, folder)),
    suspend: async (id, folder) => await step('suspend', () => driver.suspend(id, folder)),
    copyDisk: async (instance, layer) => await step('copyDisk', () => driver.copyDisk(instance, layer)),
    restore: async (spec, memory) => await step('restore', () => driver.restore(spec, memory)),
    destroy: async (id, folder) => await step('destroy', () => driver.destroy(id, folder)),
  };
}
