import type { Driver } from '../driver.ts';
import { cgroupOf } from '../host/names.ts';
import type { Host } from './host.ts';

/** The host's kernel sees one process: when memory runs out, it ends the whole sandbox. */
export async function whyEnded(host: Host, sandboxId: string): ReturnType<Driver['whyEnded']> {
  const count = host.cgroups.countOutOfMemory(cgroupOf(host.instance, sandboxId));
  return await Promise.resolve(count > 0 ? 'out_of_memory' : undefined);
}
