import { chown, mkdir, mkdtemp, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { randomId } from '@soulbox/base';
import { cgroupOf } from '../root/layout.ts';
import { destroySandbox } from './destroy.ts';
import { endProcesses } from './end.ts';
import type { Host } from './host.ts';
import { layoutOf } from './layout.ts';
import { makeRunFolders } from './run-folders.ts';
import { runRunsc } from './runsc.ts';

const stepTimeoutMs = 5_000;
/** The trial's only id, which owns nothing on the host: nobody. */
const hostId = 65_534;

/** A sandbox without disk and network that only shows whether runsc works here. */
export interface Trial extends AsyncDisposable {
  /** Its root, of which the program may write the top folder. */
  readonly rootfs: string;
  /** Two paths for the trial's use, at which nothing is. */
  readonly image: string;
  readonly pidFile: string;
  /** Runs a command of runsc on it. Throws CommandError on failure or after 5 s. */
  runsc(...args: readonly string[]): Promise<void>;
  /** Ends its processes. It can be restored afterwards. */
  end(): Promise<void>;
}

/**
 * `program` runs in a root that holds nothing but the host's /usr, read-only. What a crash leaves of it is found and
 * removed like that of any sandbox.
 */
export async function openTrial(host: Host, program: readonly string[], settings: 'hide' | 'show'): Promise<Trial> {
  const sandboxId = `itrial${randomId(14)}`;
  const directory = await mkdtemp(join(tmpdir(), 'soulbox-trial-'));
  const layout = layoutOf(host.instance, sandboxId, directory);
  const remove = (): Promise<void> => destroySandbox(host, sandboxId, directory);
  try {
    await makeRoot(host, layout.rootfs);
    const config = createConfig(layout.rootfs, program, cgroupOf(host.instance, sandboxId));
    await writeFile(layout.config, JSON.stringify(config));
  } catch (error) {
    await remove();
    throw error;
  }
  return {
    rootfs: layout.rootfs,
    image: join(directory, 'image'),
    runsc: async (...args) => {
      const options = { before: beforeRunsc[settings], timeoutMs: stepTimeoutMs };
      await runRunsc(host, { sandboxId, directory }, [...args, sandboxId], options);
    },
    pidFile: layout.pidFile,
    end: async () => await endProcesses(host, sandboxId),
    [Symbol.asyncDispose]: remove,
  };
}

/** As launch.sh does it. */
const beforeRunsc = {
  show: ['unshare', '--mount', '--net'],
  hide: [
    ...['unshare', '--mount', '--net', 'sh', '-c'],
    'mount -t tmpfs -o size=4k,ro none /proc/sys/net && exec "$@"',
    'sh',
  ],
} as const;

async function makeRoot(host: Host, rootfs: string): Promise<void> {
  await makeRunFolders(host.instance);
  await mkdir(rootfs, { mode: 0o700 });
  await mkdir(join(rootfs, 'usr'));
  // Where programs look for their loader and libraries.
  for (const name of ['bin', 'lib', 'lib64']) await symlink(`usr/${name}`, join(rootfs, name));
  await chown(rootfs, hostId, hostId);
}

function createConfig(rootfs: string, args: readonly string[], cgroupsPath: string): object {
  const mapping = [{ containerID: 0, hostID: hostId, size: 1 }];
  return {
    ociVersion: '1.2.0',
    root: { path: rootfs },
    process: { user: { uid: 0, gid: 0 }, cwd: '/', args },
    mounts: [{ destination: '/usr', type: 'bind', source: '/usr', options: ['bind', 'ro'] }],
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
