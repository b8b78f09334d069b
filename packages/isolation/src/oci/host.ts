import { readFileSync } from 'node:fs';
import type { Logger } from '@soulbox/base';
import type { Cgroups } from '../cgroup/cgroups.ts';
import { openCgroups } from '../cgroup/open-cgroups.ts';
import { createUserNamespaces } from '../host/user-namespaces.ts';
import { createLayerDevices } from '../root/layer-devices.ts';
import type { OciHost } from './oci-runtime.ts';

export function createOciHost(logger: Logger, instance: number): OciHost {
  let cgroups: Cgroups | undefined;
  return {
    logger,
    instance,
    userNamespaces: createUserNamespaces(),
    layerDevices: createLayerDevices(),
    get cgroups() {
      return (cgroups ??= openCgroups());
    },
  };
}

/** The server's own hard limit of open files: without CAP_SYS_RESOURCE no process can get more. */
export function readOpenFilesMax(): number {
  const [, max = '1024'] = /^Max open files +\S+ +(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1')) ?? [];
  return Number(max);
}
