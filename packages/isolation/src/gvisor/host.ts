import type { Logger } from '@soulbox/base';
import { createVersionReader } from '../host/program-version.ts';
import { createOciHost, readOpenFilesMax } from '../oci/host.ts';
import type { OciHost } from '../oci/oci-runtime.ts';

export interface Host extends OciHost {
  /** The server's own hard limit of open files: runsc opens a file of the host for each that is open inside. */
  readonly openFilesMax: number;
  /** runsc's. */
  readVersion(): Promise<string>;
  /** Whether runsc has to be kept from seeing the host's network settings; tried out once. */
  hidesNetworkSettings(): Promise<boolean>;
}

/** `findTrap` tries it out. */
export function createHost(logger: Logger, instance: number, findTrap: (host: Host) => Promise<boolean>): Host {
  const shared = createOciHost(logger, instance);
  let trap: Promise<boolean> | undefined;
  const host: Host = {
    logger,
    instance,
    openFilesMax: readOpenFilesMax(),
    readVersion: createVersionReader('runsc', ['runsc']),
    get cgroups() {
      return shared.cgroups;
    },
    hidesNetworkSettings: async () => {
      trap ??= findTrap(host);
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
