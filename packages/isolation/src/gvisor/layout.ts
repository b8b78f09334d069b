import { join } from 'node:path';
import type { OciLayout } from '../oci/oci-runtime.ts';
import { rootLayoutOf } from '../root/layout.ts';

/** Where this driver keeps its files in a sandbox's folder, in addition to the parts of the root. */
export interface SandboxLayout extends OciLayout {
  /**
   * In `rootfs`, where launch.sh mounts a separate file system: runsc opens all these files as the sandbox's root user.
   */
  readonly disk: string;
  readonly root: string;
  readonly envdBundle: string;
  /** Folders with places of volumes, see volumes/places.ts. */
  readonly places: string;
  /** Volumes of a restore, before they have their places. */
  readonly arrivals: string;
  readonly config: string;
  readonly pidFile: string;
  /** Exists once launch.sh has brought the sandbox up. */
  readonly launched: string;
  readonly runtimeLog: string;
}

export function layoutOf(instance: number, sandboxId: string, directory: string): SandboxLayout {
  const layout = rootLayoutOf(instance, sandboxId, directory);
  return {
    ...layout,
    disk: join(layout.rootfs, 'disk'),
    root: join(layout.rootfs, 'root'),
    envdBundle: join(layout.rootfs, 'runtime'),
    places: join(layout.rootfs, 'places'),
    arrivals: join(directory, 'arrivals'),
    // runsc requires this name in the bundle folder.
    config: join(directory, 'config.json'),
    record: join(directory, 'gvisor.json'),
    pidFile: join(directory, 'pid'),
    launched: join(directory, 'launched'),
    runtimeLog: join(directory, 'runsc.log'),
  };
}
