import { readdir } from 'node:fs/promises';
import type { Host } from './host.ts';
import { cgroupParent, imageSuffix, rootsFolder, toolGroupParent, tracePrefix } from '../root/layout.ts';
import { runtimeRoot } from './layout.ts';
import { listLoopImages } from '../root/loop-devices.ts';

/** Ids of sandboxes that have a control group, crun state, a mount point or a loop device on this host. */
export async function listTraces(host: Host): Promise<string[]> {
  const prefix = tracePrefix(host.instance);
  const images = (await listLoopImages()).filter((name) => name.startsWith(prefix) && name.endsWith(imageSuffix));
  const ids = [
    ...images.map((name) => name.slice(prefix.length, -imageSuffix.length)),
    ...(await host.cgroups.listChildren(cgroupParent(host.instance))),
    ...(await host.cgroups.listChildren(toolGroupParent(host.instance))),
    ...(await listNames(rootsFolder(host.instance))),
    ...(await listNames(runtimeRoot(host.instance))),
  ];
  return [...new Set(ids)];
}

/** Names in a folder, less the hidden ones, which crun keeps for itself. */
async function listNames(folder: string): Promise<string[]> {
  const names = await readdir(folder).catch(() => []);
  return names.filter((name) => !name.startsWith('.'));
}
