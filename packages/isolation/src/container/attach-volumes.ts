import { closeSync, openSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { SoulBoxError } from '@soulbox/base';
import { systemPaths } from '@soulbox/contract';
import { parseMountInfo } from '../cgroup/mounts.ts';
import type { SandboxInstance, SandboxVolume } from '../driver.ts';
import { runHostTool, toolsOf } from '../host/host-tool.ts';
import { initRuns } from '../host/init-process.ts';
import { mapOwners, mountFailure, sandboxEnded } from '../oci/volumes/volume-failures.ts';
import type { Host } from './host.ts';

const attachProgram = fileURLToPath(new URL('attach-volumes.pl', import.meta.url));
/** It takes milliseconds, on a slow disk under load seconds. */
const attachTimeoutMs = 10_000;

/**
 * Mounts volumes in a running sandbox, in their order. Their paths must have passed `refuseVolumePaths`. Throws
 * `volume_mount_failed`; then the volumes before the failed one are mounted.
 */
export async function attachVolumes(
  host: Host,
  instance: SandboxInstance,
  volumes: readonly SandboxVolume[],
  signal: AbortSignal,
): Promise<void> {
  if (volumes.length === 0) return;
  using namespaces = openNamespaces(instance);
  for (const { mount } of volumes) mapOwners(mount, namespaces.user);
  const taken = [...systemPaths, ...namespaces.mountPoints];
  const paths = volumes.map(({ path }) => path);
  try {
    await runHostTool('perl', [attachProgram, String(namespaces.rootId), ...taken, '--', ...paths], {
      directory: instance.directory,
      tools: toolsOf(host, instance.sandboxId),
      descriptors: [namespaces.mount, ...volumes.map(({ mount }) => mount)],
      timeoutMs: attachTimeoutMs,
      signal,
    });
  } catch (error) {
    signal.throwIfAborted();
    throw mountFailure(error, paths);
  }
}

interface Namespaces extends Disposable {
  /** Open descriptors. */
  readonly mount: number;
  readonly user: number;
  /** The sandbox's root, as the host numbers it. */
  readonly rootId: number;
  /** The places of all mounts besides the root. */
  readonly mountPoints: readonly string[];
}

/** Throws `volume_mount_failed` if the sandbox has ended. */
function openNamespaces(instance: SandboxInstance): Namespaces {
  const ofInit = (name: string): string => `/proc/${instance.initPid}/${name}`;
  using opened = new DisposableStack();
  const open = (name: string): number => opened.adopt(openSync(ofInit(name), 'r'), closeSync);
  try {
    const [mount, user] = [open('ns/mnt'), open('ns/user')];
    const [, rootId = ''] = /^ *0 +([1-9]\d*) /.exec(readFileSync(ofInit('uid_map'), 'latin1')) ?? [];
    const mounts = parseMountInfo(readFileSync(ofInit('mountinfo'), 'utf8'));
    const mountPoints = mounts.map(({ mountPoint }) => mountPoint).filter((path) => path !== '/');
    // Afterwards: another process may have the pid of an init that has ended.
    if (rootId === '' || !initRuns(instance)) throw sandboxEnded(undefined);
    const owned = opened.move();
    return { mount, user, rootId: Number(rootId), mountPoints, [Symbol.dispose]: () => owned.dispose() };
  } catch (error) {
    throw error instanceof SoulBoxError ? error : sandboxEnded(error);
  }
}
