import { closeSync, openSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseMountInfo } from '../../cgroup/mounts.ts';
import type { MountEntry } from '../../cgroup/mounts.ts';
import type { SandboxInstance } from '../../driver.ts';
import { runHostTool, toolsOf } from '../../host/host-tool.ts';
import type { OciHost } from '../oci-runtime.ts';

const syncProgram = fileURLToPath(new URL('sync-volumes.pl', import.meta.url));
/** The process that serves a volume may have just been started again. */
const syncTimeoutMs = 20_000;
/** How the runner names the mounts of volumes. */
const sourceForm = /^volume-\d+$/;

/** Those of volumes, among the mounts in a mountinfo. */
export function volumeMounts(mountInfo: string): MountEntry[] {
  return parseMountInfo(mountInfo).filter(({ fileSystem, source }) => fileSystem === 'fuse' && sourceForm.test(source));
}

/**
 * Writes what programs have changed in files of volumes through memory (`mmap`) to the volumes. The kernel keeps such
 * pages until somebody asks. `pid`: a process whose root is the sandbox's. `isAlive`: whether it still is. Throws if
 * the sandbox has ended, and if the volumes do not take them.
 */
export async function syncVolumes(
  host: OciHost,
  instance: SandboxInstance,
  { pid, isAlive }: { readonly pid: number; readonly isAlive: () => boolean },
  signal: AbortSignal,
): Promise<void> {
  const ofProcess = (name: string): string => `/proc/${pid}/${name}`;
  using opened = new DisposableStack();
  const open = (name: string): number => opened.adopt(openSync(ofProcess(name), 'r'), closeSync);
  const [namespace, root] = [open('ns/mnt'), open('root')];
  const volumes = volumeMounts(readFileSync(ofProcess('mountinfo'), 'utf8'));
  // Afterwards: another process may have the pid of one that has ended.
  if (!isAlive()) throw new Error('The sandbox has ended.');
  if (volumes.length === 0) return;
  const places = volumes.flatMap(({ device, mountPoint }) => [device, mountPoint]);
  await runHostTool('perl', [syncProgram, ...places], {
    directory: instance.directory,
    tools: toolsOf(host, instance.sandboxId),
    descriptors: [namespace, root],
    timeoutMs: syncTimeoutMs,
    signal,
  });
}
