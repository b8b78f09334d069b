import { existsSync, mkdirSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { Logger } from '@soulbox/base';
import type { Cgroups } from '../cgroup/cgroups.ts';
import { openCgroups } from '../cgroup/cgroups.ts';
import { createVersionReader } from '../host/program-version.ts';
import { cgroupParent, runFolder } from '../root/layout.ts';
import type { Criu } from './checkpoint/criu.ts';
import { programCommand } from './checkpoint/criu.ts';
import { hiddenFolders } from './container-mounts.ts';
import type { HostFacts } from './oci-config.ts';
import { Pagers } from './pager/pagers.ts';
import type { SeccompProfile } from './seccomp-profile.ts';
import { createSeccompProfile } from './seccomp-profile.ts';

/** What all operations of the driver share; nothing in it is about a particular sandbox. */
export interface Host {
  readonly logger: Logger;
  readonly instance: number;
  /** Undefined: memory cannot be saved. */
  readonly criu: Criu | undefined;
  /** CRIU's; empty without it. */
  readVersion(): Promise<string>;
  readonly facts: HostFacts;
  readonly seccomp: SeccompProfile;
  /** Opened at first use: the host may be prepared after the driver is made. Throws `host_not_ready`. */
  readonly cgroups: Cgroups;
  /** Likewise. Its spares end with this process. */
  readonly pagers: Pagers;
}

export function createHost(logger: Logger, instance: number, criu: Criu | undefined): Host {
  let cgroups: Cgroups | undefined;
  let pagers: Pagers | undefined;
  return {
    logger,
    instance,
    criu,
    readVersion: criu === undefined ? () => Promise.resolve('') : createVersionReader('criu', programCommand(criu)),
    facts: readHostFacts(),
    seccomp: createSeccompProfile(),
    get cgroups() {
      return (cgroups ??= openCgroups());
    },
    get pagers() {
      return (pagers ??= openPagers(instance, this.cgroups));
    },
  };
}

function openPagers(instance: number, cgroups: Cgroups): Pagers {
  const cacheDirectory = join(runFolder(instance), 'pager-cache');
  // Not left to Node, which would make it as open as the server's umask.
  mkdirSync(cacheDirectory, { recursive: true, mode: 0o700 });
  // Beside the parent of the sandboxes' groups, not below it: there it would be taken for a sandbox.
  const groupDirectories = cgroups.directoriesOf(`${cgroupParent(instance)}-pagers`);
  return new Pagers({ groupDirectories, cacheDirectory, spares: 1 });
}

function readHostFacts(): HostFacts {
  const limits = readFileSync('/proc/self/limits', 'latin1');
  const [, openFiles = '1024'] = /^Max open files +\S+ +(\d+)/m.exec(limits) ?? [];
  return {
    openFilesMax: Number(openFiles),
    oomScore: Number(readFileSync('/proc/self/oom_score_adj', 'latin1')),
    maskedFolders: [...hiddenFolders.filter((folder) => existsSync(folder)), ...hardwareFolders()],
  };
}

/**
 * Where the kernel shows the host's disks with their traffic: the roots of the device tree, such as /sys/devices/pci0000:00, that
 * have one. The files of /sys/block are links into them. Virtual disks have a folder of their own, which is hidden by its name.
 */
function hardwareFolders(): string[] {
  const disks = '/sys/class/block';
  if (!existsSync(disks)) return [];
  const roots = readdirSync(disks).map((name) => {
    try {
      return /^\.\.\/\.\.\/devices\/([^/]+)\//.exec(readlinkSync(join(disks, name)))?.[1] ?? 'virtual';
    } catch {
      // Taken away in this moment: it has nothing to hide.
      return 'virtual';
    }
  });
  return [...new Set(roots)].filter((root) => root !== 'virtual').map((root) => join('/sys/devices', root));
}
