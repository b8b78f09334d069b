import { readdir } from 'node:fs/promises';
import { readMounts } from '../cgroup/mounts.ts';
import type { Host } from './host.ts';
import { cgroupParent, rootsFolder, runtimeRoot, tracePrefix } from './layout.ts';
import { listLoopImages } from './loop-devices.ts';

/** Ids of sandboxes that have a control group, crun state, a mount or a loop device on this host. */
export async function listTraces(host: Host): Promise<string[]> {
  const prefix = tracePrefix(host.instance);
  const overlays = readMounts().filter((mount) => mount.fileSystem === 'overlay');
  const marked = [
    ...overlays.map((mount) => mount.source),
    ...(await listLoopImages()).filter((name) => name.endsWith('.img')).map((name) => name.slice(0, -'.img'.length)),
  ].filter((name) => name.startsWith(prefix));
  const ids = [
    ...marked.map((name) => name.slice(prefix.length)),
    ...(await host.cgroups.listChildren(cgroupParent(host.instance))),
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
