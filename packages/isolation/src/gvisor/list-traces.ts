import { readdir } from 'node:fs/promises';
import { cgroupParent, imageSuffix, rootsFolder, toolGroupParent, tracePrefix } from '../root/layout.ts';
import { listLoopImages } from '../root/loop-devices.ts';
import type { Host } from './host.ts';
import { listRuntimeCheckpoints } from './runtime-state.ts';

/** Ids of sandboxes that have a control group, a file of runsc, a mount point or a loop device on this host. */
export async function listTraces(host: Host): Promise<string[]> {
  const prefix = tracePrefix(host.instance);
  const images = (await listLoopImages()).filter((name) => name.startsWith(prefix) && name.endsWith(imageSuffix));
  const ids = [
    ...images.map((name) => name.slice(prefix.length, -imageSuffix.length)),
    ...(await host.cgroups.listChildren(cgroupParent(host.instance))),
    ...(await host.cgroups.listChildren(toolGroupParent(host.instance))),
    ...(await readdir(rootsFolder(host.instance)).catch(() => [])),
    ...(await listRuntimeCheckpoints(host.instance)),
  ];
  return [...new Set(ids)];
}
