import type { Logger } from '@soulbox/base';
import { createVersionReader } from '../host/program-version.ts';
import { createOciHost, readOpenFilesMax } from '../oci/host.ts';
import type { OciHost } from '../oci/oci-runtime.ts';

export interface Host extends OciHost {
  /** The server's own hard limit of open files: runsc opens a host file for each file that is open inside. */
  readonly openFilesMax: number;
  /** runsc's version. */
  readVersion(): Promise<string>;
  /** Whether the host's network settings must be hidden from runsc; determined once by a trial. */
  hidesNetworkSettings(): Promise<boolean>;
}

/** `findTrap` runs the trial. */
export function createHost(logger: Logger, instance: number, findTrap: (host: Host) => Promise<boolean>): Host {
  const shared = createOciHost(logger, instance);
  let trap: Promise<boolean> | undefined;
  const host: Host = {
    ...{ logger, instance },
    ...{ userNamespaces: shared.userNamespaces, layerDevices: shared.layerDevices },
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
