import { join } from 'node:path';
import type { OciLayout } from '../oci/oci-runtime.ts';
import { rootLayoutOf } from '../root/layout.ts';

/** Where this driver keeps its files in a sandbox's folder, in addition to the parts of the root. */
export interface SandboxLayout extends OciLayout {
  /** Mount point of the envd bundle before the sandbox gets it. */
  readonly envdBundle: string;
  readonly config: string;
  readonly pidFile: string;
  readonly runtimeLog: string;
  /** Exists while CRIU may be running for the sandbox. */
  readonly criu: string;
  /** Files that a restore keeps until the sandbox ends: CRIU's log, the pid of init, and the status of its pager. */
  readonly restore: string;
}

export function layoutOf(instance: number, sandboxId: string, directory: string): SandboxLayout {
  return {
    ...rootLayoutOf(instance, sandboxId, directory),
    envdBundle: join(directory, 'runtime'),
    // crun requires this name in the bundle folder.
    config: join(directory, 'config.json'),
    record: join(directory, 'container.json'),
    pidFile: join(directory, 'pid'),
    runtimeLog: join(directory, 'crun.log'),
    criu: join(directory, 'criu'),
    restore: join(directory, 'restore'),
  };
}
