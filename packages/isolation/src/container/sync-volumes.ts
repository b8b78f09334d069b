import { closeSync, openSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseMountInfo } from '../cgroup/mounts.ts';
import type { SandboxInstance } from '../driver.ts';
import { runHostTool, toolsOf } from '../host/host-tool.ts';
import { initRuns } from '../host/init-process.ts';
import type { Host } from './host.ts';

const syncProgram = fileURLToPath(new URL('sync-volumes.pl', import.meta.url));
/** The process that serves a volume may have just been started again. */
const syncTimeoutMs = 20_000;
/** How the runner names the mounts of volumes. */
const sourceForm = /^volume-\d+$/;

/**
 * Writes what programs have changed in files of volumes through memory (`mmap`) to the volumes. The kernel keeps such
 * pages until somebody asks. Throws if the sandbox has ended, and if the volumes do not take them.
 */
export async function syncVolumes(host: Host, instance: SandboxInstance, signal: AbortSignal): Promise<void> {
  const ofInit = (name: string): string => `/proc/${instance.initPid}/${name}`;
  using opened = new DisposableStack();
  const namespace = opened.adopt(openSync(ofInit('ns/mnt'), 'r'), closeSync);
  const mounts = parseMountInfo(readFileSync(ofInit('mountinfo'), 'utf8'));
  // Afterwards: another process may have the pid of an init that has ended.
  if (!initRuns(instance)) throw new Error('The sandbox has ended.');
  const volumes = mounts.filter(({ fileSystem, source }) => fileSystem === 'fuse' && sourceForm.test(source));
  if (volumes.length === 0) return;
  const places = volumes.flatMap(({ device, mountPoint }) => [device, mountPoint]);
  await runHostTool('perl', [syncProgram, ...places], {
    directory: instance.directory,
    tools: toolsOf(host, instance.sandboxId),
    descriptors: [namespace],
    timeoutMs: syncTimeoutMs,
    signal,
  });
}
