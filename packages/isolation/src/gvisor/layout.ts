import { join } from 'node:path';
import type { OciLayout } from '../oci/oci-runtime.ts';
import { rootLayoutOf } from '../root/layout.ts';

/** Where this driver keeps what in a sandbox's folder, beside the parts of its root. */
export interface SandboxLayout extends OciLayout {
  /** Within `rootfs`, where launch.sh mounts a file system of its own: runsc opens all this as the sandbox's root. */
  readonly disk: string;
  readonly root: string;
  readonly runtime: string;
  readonly config: string;
  /** What a restore reads, while it does: the saved memory with this sandbox's own host name. */
  readonly ownImage: string;
  readonly pidFile: string;
  /** Is there when launch.sh has brought the sandbox up. */
  readonly launched: string;
  readonly runtimeLog: string;
}

export function layoutOf(instance: number, sandboxId: string, directory: string): SandboxLayout {
  const layout = rootLayoutOf(instance, sandboxId, directory);
  return {
    ...layout,
    disk: join(layout.rootfs, 'disk'),
    root: join(layout.rootfs, 'root'),
    runtime: join(layout.rootfs, 'runtime'),
    // runsc wants this very name in the bundle folder.
    config: join(directory, 'config.json'),
    ownImage: join(directory, 'own-image'),
    record: join(directory, 'gvisor.json'),
    pidFile: join(directory, 'pid'),
    launched: join(directory, 'launched'),
    runtimeLog: join(directory, 'runsc.log'),
  };
}
