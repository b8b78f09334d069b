import { chown, mkdir, mkdtemp, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { randomId } from '@soulbox/base';
import type { EnvdBundle } from '../driver.ts';
import { cgroupOf } from '../host/names.ts';
import { destroySandbox } from '../oci/end.ts';
import { makeRunFolders } from '../oci/prepare.ts';
import { endProcesses } from './end-processes.ts';
import type { Host } from './host.ts';
import type { SandboxLayout } from './layout.ts';
import { layoutOf } from './layout.ts';
import { runRunsc } from './runsc.ts';
import { runtimeRoot } from './runtime-state.ts';

const stepTimeoutMs = 5_000;
/** Path of an empty folder if there is no envd bundle. */
const noBundle = '/envd-bundle';
/** The only id of the trial, which owns nothing on the host: nobody. */
const hostId = 65_534;

/** A sandbox without a disk and with only a loopback network, which shows whether runsc works here. */
export interface Trial extends AsyncDisposable {
  /** The sandbox's root; the program may write to its top folder. */
  readonly rootfs: string;
  /** Two unused paths for the trial. */
  readonly image: string;
  readonly pidFile: string;
  /** Runs a runsc command on it. Throws CommandError on failure or after 5 s. */
  runsc(...args: readonly string[]): Promise<void>;
  /** Ends its processes. It can be restored afterwards. */
  end(): Promise<void>;
}

export interface TrialOptions {
  readonly program: readonly string[];
  /** The host's network settings, see `findNetworkTrap`. */
  readonly settings: 'hide' | 'show';
  /** Mounted inside at the usual place. Default: none. */
  readonly envdBundle?: EnvdBundle;
}

/**
 * The program runs in a root that contains only the host's /usr, read-only, and the envd bundle. Leftovers of a crash are
 * found and removed like those of any sandbox.
 */
export async function openTrial(host: Host, { program, settings, envdBundle }: TrialOptions): Promise<Trial> {
  const sandboxId = `itrial${randomId(14)}`;
  const directory = await mkdtemp(join(tmpdir(), 'soulbox-trial-'));
  const layout = layoutOf(host.instance, sandboxId, directory);
  const ending = {
    host,
    layoutOf: () => layout,
    endProcesses: () => endProcesses(host, sandboxId),
  };
  const remove = (): Promise<void> => destroySandbox(ending, sandboxId, directory);
  try {
    await makeRoot(host, layout);
    const mountPoint = envdBundle?.mountPoint ?? noBundle;
    const config = createConfig(layout, { program, mountPoint }, cgroupOf(host.instance, sandboxId));
    await writeFile(layout.config, JSON.stringify(config));
  } catch (error) {
    await remove();
    throw error;
  }
  return {
    rootfs: layout.root,
    image: join(directory, 'image'),
    runsc: async (...args) => {
      const before = [...beforeRunsc, settings, envdBundle?.directory ?? '', layout.envdBundle];
      await runRunsc(host, { sandboxId, directory }, [...args, sandboxId], { before, timeoutMs: stepTimeoutMs });
    },
    pidFile: layout.pidFile,
    end: async () => await endProcesses(host, sandboxId),
    [Symbol.asyncDispose]: remove,
  };
}

/** Like launch.sh, but the envd bundle is mounted where the trial's only id can reach it. */
const beforeRunsc = [
  ...['unshare', '--mount', '--net', 'sh', '-ec'],
  `ip link set lo up
   [ "$1" = show ] || mount -t tmpfs -o size=4k,ro none /proc/sys/net
   [ -z "$2" ] || mount --bind -o ro "$2" "$3"
   shift 3
   exec "$@"`,
  'sh',
] as const;

async function makeRoot(host: Host, { rootfs, root, envdBundle }: SandboxLayout): Promise<void> {
  await makeRunFolders(host.instance, runtimeRoot(host.instance));
  for (const folder of [rootfs, root, envdBundle, join(root, 'usr'), join(root, 'etc')])
    await mkdir(folder, { mode: 0o700 });
  // Where programs look for their loader and libraries.
  for (const name of ['bin', 'lib', 'lib64']) await symlink(`usr/${name}`, join(root, name));
  await writeFile(join(root, 'etc/passwd'), 'root:x:0:0::/:/bin/sh\n', { mode: 0o644 });
  for (const folder of [rootfs, root, join(root, 'etc'), join(root, 'etc/passwd')]) await chown(folder, hostId, hostId);
}

function createConfig(
  { root, envdBundle }: SandboxLayout,
  { program, mountPoint }: { program: readonly string[]; mountPoint: string },
  cgroupsPath: string,
): object {
  const mapping = [{ containerID: 0, hostID: hostId, size: 1 }];
  const bind = (source: string, destination: string): object => ({
    ...{ source, destination },
    ...{ type: 'bind', options: ['bind', 'ro'] },
  });
  return {
    ociVersion: '1.2.0',
    root: { path: root },
    process: { user: { uid: 0, gid: 0 }, cwd: '/', args: program },
    mounts: [bind('/usr', '/usr'), bind(envdBundle, mountPoint)],
    linux: {
      namespaces: [
        ...['pid', 'mount', 'ipc', 'uts', 'user'].map((type) => ({ type })),
        { type: 'network', path: '/proc/self/ns/net' },
      ],
      uidMappings: mapping,
      gidMappings: mapping,
      cgroupsPath,
      resources: {},
    },
  };
}
