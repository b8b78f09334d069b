import { closeSync, openSync, readFileSync } from 'node:fs';
import { posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CommandError, SoulBoxError } from '@soulbox/base';
import { systemPaths } from '@soulbox/contract';
import type { SandboxInstance, SandboxVolume } from '../../driver.ts';
import { runHostTool, toolsOf } from '../../host/host-tool.ts';
import { mapOwners, mountFailure, sandboxEnded } from '../../oci/volumes/volume-failures.ts';
import { isSandboxAlive } from '../alive.ts';
import type { Host } from '../host.ts';
import { layoutOf } from '../layout.ts';
import { runRunsc } from '../runsc.ts';
import { readRuntimeState } from '../runtime-state.ts';
import { getPlaces, placeInside, refuseOutside } from './places.ts';

const placeProgram = fileURLToPath(new URL('place-in-gofer.pl', import.meta.url));
const bindProgram = readFileSync(new URL('bind-volumes.ts', import.meta.url), 'utf8');
const placeTimeoutMs = 10_000;
/** It takes a tenth of a second, on a machine under load seconds. */
const bindTimeoutMs = 30_000;
/** Of the program that shows volumes at their paths. Those of programs inside are fewer: they cannot mount. */
const bindCapabilities = ['CAP_SYS_ADMIN', 'CAP_DAC_OVERRIDE'];

/** What the program in the sandbox is to do. */
export interface BindOrder {
  /** Paths at, below or above which nothing may be shown. */
  readonly taken: readonly string[];
  /** Places are directly below a mount. */
  readonly volumes: readonly { readonly place: string; readonly path: string }[];
}

/**
 * Mounts volumes in a running sandbox, in their order: the host mounts each at a place that the sandbox has from its
 * start, and gVisor's kernel shows the place at the path. Paths must have passed `refuseVolumePaths`. Throws
 * `volume_mount_failed`; then the volumes before the failed one are mounted.
 */
export async function attachVolumes(
  host: Host,
  instance: SandboxInstance,
  volumes: readonly SandboxVolume[],
  signal: AbortSignal,
): Promise<void> {
  if (volumes.length === 0) return;
  refuseOutside(volumes);
  try {
    await placeVolumes(host, instance, volumes, signal);
    await bindVolumes(host, instance, volumes, signal);
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof SoulBoxError) throw error;
    const paths = volumes.map(({ path }) => path);
    throw mountFailure(error, paths);
  }
}

async function placeVolumes(
  host: Host,
  instance: SandboxInstance,
  volumes: readonly SandboxVolume[],
  signal: AbortSignal,
): Promise<void> {
  using gofer = openGofer(host, instance);
  for (const { mount } of volumes) mapOwners(mount, gofer.user);
  const places = volumes.flatMap((volume) => {
    const { device, mountPoint } = getPlaces(gofer.mountInfo, volume);
    return [device, posix.join(mountPoint, String(volume.index))];
  });
  await runHostTool('perl', [placeProgram, ...places], {
    directory: instance.directory,
    tools: toolsOf(host, instance.sandboxId),
    descriptors: [gofer.mount, gofer.root, ...volumes.map(({ mount }) => mount)],
    timeoutMs: placeTimeoutMs,
    signal,
  });
}

async function bindVolumes(
  host: Host,
  instance: SandboxInstance,
  volumes: readonly SandboxVolume[],
  signal: AbortSignal,
): Promise<void> {
  const { sandboxId, directory } = instance;
  const envd = envdCommand(layoutOf(host.instance, sandboxId, directory).config);
  const order: BindOrder = {
    taken: systemPaths,
    volumes: volumes.map((volume) => ({ place: placeInside(volume), path: volume.path })),
  };
  const rights = bindCapabilities.flatMap((name) => ['-cap', name]);
  // Bun reads settings from its working directory and from HOME: both are in the bundle, which nobody can write. It is
  // the program in which envd is.
  const bundle = posix.dirname(envd[0] ?? '/');
  const environment = [`HOME=${bundle}`, `XDG_CONFIG_HOME=${bundle}`, 'BUN_BE_BUN=1', 'LC_ALL=C'];
  const settings = ['-user', '0:0', '-cwd', bundle, ...environment.flatMap((text) => ['-env', text])];
  try {
    const program = ['-e', bindProgram, JSON.stringify(order)];
    await runRunsc(host, instance, ['exec', ...settings, ...rights, sandboxId, ...envd, ...program], {
      timeoutMs: bindTimeoutMs,
      signal,
    });
  } catch (error) {
    // Without the text of the program, which would be in the log.
    if (error instanceof CommandError)
      throw new CommandError(['runsc', 'exec', sandboxId], error.exitCode, error.stderr, undefined);
    throw error;
  }
}

/** How envd was started. The file is the host's own, and no process of the sandbox sees it. */
function envdCommand(configPath: string): readonly string[] {
  const { process } = JSON.parse(readFileSync(configPath, 'utf8')) as { process: { args: string[] } };
  return process.args;
}

/** The process that opens files for the sandbox. */
interface Gofer extends Disposable {
  /** Open descriptors: of its mount namespace, its user namespace, its root. */
  readonly mount: number;
  readonly user: number;
  readonly root: number;
  readonly mountInfo: string;
}

/** Throws `volume_mount_failed` if the sandbox has ended. */
function openGofer(host: Host, instance: SandboxInstance): Gofer {
  using opened = new DisposableStack();
  try {
    const { goferPid } = readRuntimeState(host.instance, instance.sandboxId);
    const ofGofer = (name: string): string => `/proc/${goferPid}/${name}`;
    const open = (name: string): number => opened.adopt(openSync(ofGofer(name), 'r'), closeSync);
    const [mount, user, root] = [open('ns/mnt'), open('ns/user'), open('root')];
    const mountInfo = readFileSync(ofGofer('mountinfo'), 'utf8');
    // Afterwards: another process may have the pid of a gofer that has ended.
    if (!isSandboxAlive(host, instance)) throw sandboxEnded(undefined);
    const owned = opened.move();
    return { mount, user, root, mountInfo, [Symbol.dispose]: () => owned.dispose() };
  } catch (error) {
    throw error instanceof SoulBoxError ? error : sandboxEnded(error);
  }
}
