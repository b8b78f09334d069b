import { closeSync, openSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { CommandError, SoulBoxError } from '@soulbox/base';
import { systemPaths } from '@soulbox/contract';
import { SystemCallError } from '@soulbox/linux/libc';
import { mapIds } from '@soulbox/linux/mount-objects';
import { parseMountInfo } from '../cgroup/mounts.ts';
import type { SandboxInstance, SandboxVolume } from '../driver.ts';
import { runHostTool, toolsOf } from '../host/host-tool.ts';
import { initRuns } from '../host/init-process.ts';
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
    throw failureOf(error, paths);
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
    if (rootId === '' || !initRuns(instance)) throw ended(undefined);
    const owned = opened.move();
    return { mount, user, rootId: Number(rootId), mountPoints, [Symbol.dispose]: () => owned.dispose() };
  } catch (error) {
    throw error instanceof SoulBoxError ? error : ended(error);
  }
}

function ended(cause: unknown): SoulBoxError {
  return new SoulBoxError('volume_mount_failed', 'No volume can be mounted: the sandbox has ended.', { cause });
}

function mapOwners(mount: number, userNamespace: number): void {
  try {
    mapIds(mount, userNamespace);
  } catch (cause) {
    if (!(cause instanceof SystemCallError)) throw cause;
    const message = 'The kernel of the host cannot give a volume the ids of a sandbox. Linux 6.12 or later can.';
    throw new SoulBoxError('volume_mount_failed', message, { cause });
  }
}

/** The program writes the number of the path, and why it failed. */
function failureOf(cause: unknown, paths: readonly string[]): SoulBoxError {
  const [, number, why] = (cause instanceof CommandError && /^(\d+) (.+)$/m.exec(cause.stderr)) || [];
  const path = paths[Number(number)];
  const message =
    path === undefined || why === undefined
      ? 'The volumes could not be mounted in the sandbox.'
      : `A volume cannot be mounted at ${JSON.stringify(path)}: ${why}.`;
  return new SoulBoxError('volume_mount_failed', message, { cause });
}
