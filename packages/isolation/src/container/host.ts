import { existsSync, mkdirSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Logger } from '@soulbox/base';
import type { Cgroups } from '../cgroup/cgroups.ts';
import { createVersionReader } from '../host/program-version.ts';
import type { WaitingShells } from '../host/waiting-shells.ts';
import { createWaitingShells } from '../host/waiting-shells.ts';
import { startWaitingTool } from '../host/waiting-tool.ts';
import { mergingMemory } from '../host/merge-memory.ts';
import { createOciHost, readOpenFilesMax } from '../oci/host.ts';
import type { OciHost } from '../oci/oci-runtime.ts';
import { cgroupParent, runFolder } from '../host/names.ts';
import type { Criu } from './criu.ts';
import { kernelFactsFile, programCommand } from './criu.ts';
import type { CriuShells } from './criu-shell/criu-shells.ts';
import { createCriuShells } from './criu-shell/criu-shells.ts';
import { hiddenFolders } from './mounts.ts';
import type { HostFacts } from './oci-config.ts';
import type { Pagers } from './pager/pagers.ts';
import { createPagers } from './pager/pagers.ts';
import type { SeccompProfile } from '../oci/seccomp-profile.ts';
import { createSeccompProfile } from '../oci/seccomp-profile.ts';

export interface Host extends OciHost {
  /** Undefined: memory cannot be saved. */
  readonly criu: Criu | undefined;
  /** CRIU's version; empty without CRIU. */
  readVersion(): Promise<string>;
  readonly facts: HostFacts;
  readonly seccomp: SeccompProfile;
  /** Opened at first use, like `cgroups`. Its spares end with this process. */
  readonly pagers: Pagers;
  /** Run create.sh. */
  readonly createShells: WaitingShells;
  readonly criuShells: CriuShells;
}

/** Two starts, pauses or resumes at a time use a host of two processors. */
const spareShells = 2;
const createShell = fileURLToPath(new URL('../host/waiting-shell.sh', import.meta.url));

export interface ContainerDriverOptions {
  readonly logger: Logger;
  /** 0 to 14: separates two servers on one host. */
  readonly instance: number;
  /** Without it, memory cannot be saved. */
  readonly criu?: Criu | undefined;
  /** Whether the kernel may keep equal memory of all sandboxes once. Default false. */
  readonly mergeMemory?: boolean | undefined;
}

export function createHost({ logger, instance, criu, mergeMemory = false }: ContainerDriverOptions): Host {
  // All programs of a sandbox descend from such a shell and inherit whether their memory is merged.
  const beforeShell = mergeMemory ? mergingMemory : [];
  const shared = createOciHost(logger, instance);
  let pagers: Pagers | undefined;
  return {
    ...{ logger, instance },
    ...{ userNamespaces: shared.userNamespaces, layerDevices: shared.layerDevices },
    criu,
    readVersion: criu === undefined ? () => Promise.resolve('') : createVersionReader('criu', programCommand(criu)),
    facts: readHostFacts(),
    seccomp: createSeccompProfile(),
    createShells: createWaitingShells({
      ...{ logger, spares: spareShells, purpose: 'starts' },
      // As in criu-shells.ts: what ends on the host ends in a shell too.
      start: () =>
        startWaitingTool([...beforeShell, 'unshare', '--mount', '--propagation', 'slave', 'sh', createShell]),
    }),
    criuShells: createCriuShells({ logger, factsFile: kernelFactsFile(instance), spares: spareShells, beforeShell }),
    get cgroups() {
      return shared.cgroups;
    },
    get pagers() {
      return (pagers ??= openPagers(instance, this.cgroups));
    },
  };
}

function openPagers(instance: number, cgroups: Cgroups): Pagers {
  const cacheDirectory = join(runFolder(instance), 'pager-cache');
  // Node would create it with permissions that depend on the server's umask.
  mkdirSync(cacheDirectory, { recursive: true, mode: 0o700 });
  // Beside the parent of the sandboxes' groups, not below it: there it would be taken for a sandbox.
  const groupDirectories = cgroups.directoriesOf(`${cgroupParent(instance)}-pagers`);
  return createPagers({ groupDirectories, cacheDirectory, spares: 1 });
}

function readHostFacts(): HostFacts {
  return {
    openFilesMax: readOpenFilesMax(),
    oomScore: Number(readFileSync('/proc/self/oom_score_adj', 'latin1')),
    maskedFolders: [...hiddenFolders.filter((folder) => existsSync(folder)), ...hardwareFolders()],
  };
}

/**
 * The folders that show the host's disks and their traffic: the roots of the device tree, such as
 * /sys/devices/pci0000:00, that contain a disk. The files of /sys/block are links into them. Virtual disks have a
 * folder of their own, which is hidden by its name.
 */
function hardwareFolders(): string[] {
  const disks = '/sys/class/block';
  if (!existsSync(disks)) return [];
  const roots = readdirSync(disks).map((name) => {
    try {
      return /^\.\.\/\.\.\/devices\/([^/]+)\//.exec(readlinkSync(join(disks, name)))?.[1] ?? 'virtual';
    } catch {
      // The disk was removed just now: there is nothing to hide.
      return 'virtual';
    }
  });
  return [...new Set(roots)].filter((root) => root !== 'virtual').map((root) => join('/sys/devices', root));
}
