import { readdir } from 'node:fs/promises';
import { cgroupParent, rootsFolder, toolGroupParent, tracePrefix } from '../host/names.ts';
import { imageSuffix } from '../root/layout.ts';
import { listLoopImages } from '../root/loop-devices.ts';
import type { OciRuntime } from './oci-runtime.ts';

/** Ids of sandboxes that have a control group, a file of the runtime, a mount point or a loop device on this host. */
export async function listTraces(runtime: OciRuntime): Promise<string[]> {
  const { host } = runtime;
  const prefix = tracePrefix(host.instance);
  const images = (await listLoopImages()).filter((name) => name.startsWith(prefix) && name.endsWith(imageSuffix));
  const ids = [
    ...images.map((name) => name.slice(prefix.length, -imageSuffix.length)),
    ...(await host.cgroups.listChildren(cgroupParent(host.instance))),
    ...(await host.cgroups.listChildren(toolGroupParent(host.instance))),
    ...(await readdir(rootsFolder(host.instance)).catch(() => [])).filter((name) => !name.startsWith('.')),
    ...(await runtime.listKnown()),
  ];
  return [...new Set(ids)];
}
