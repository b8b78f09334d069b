import { readFileSync } from 'node:fs';
import type { Logger } from '@soulbox/base';
import type { Cgroups } from '../cgroup/cgroups.ts';
import { openCgroups } from '../cgroup/cgroups.ts';
import { createVersionReader } from '../host/program-version.ts';
import { findNetworkTrap } from './network-trap.ts';

/** What all operations of the driver share; nothing in it is about a particular sandbox. */
export interface Host {
  readonly logger: Logger;
  readonly instance: number;
  /** The server's own hard limit of open files: runsc opens a file of the host for each that is open inside. */
  readonly openFilesMax: number;
  /** Opened at first use: the host may be prepared after the driver is made. Throws `host_not_ready`. */
  readonly cgroups: Cgroups;
  /** runsc's. */
  readVersion(): Promise<string>;
  /** Whether runsc has to be kept from seeing the host's network settings; tried out once. */
  hidesNetworkSettings(): Promise<boolean>;
}

export function createHost(logger: Logger, instance: number): Host {
  let cgroups: Cgroups | undefined;
  let trap: Promise<boolean> | undefined;
  const host: Host = {
    logger,
    instance,
    openFilesMax: readOpenFilesMax(),
    readVersion: createVersionReader('runsc', ['runsc']),
    get cgroups() {
      return (cgroups ??= openCgroups());
    },
    hidesNetworkSettings: async () => {
      trap ??= findNetworkTrap(host);
      try {
        return await trap;
      } catch (error) {
        // The next start tries again.
        trap = undefined;
        throw error;
      }
    },
  };
  return host;
}

function readOpenFilesMax(): number {
  const [, max = '1024'] = /^Max open files +\S+ +(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1')) ?? [];
  return Number(max);
}
