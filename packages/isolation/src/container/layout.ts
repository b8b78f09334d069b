import { join } from 'node:path';
import type { OciLayout } from '../oci/oci-runtime.ts';
import { rootLayoutOf } from '../root/layout.ts';

/** Where this driver keeps what in a sandbox's folder, beside the parts of its root. */
export interface SandboxLayout extends OciLayout {
  /** Where the runtime is mounted before the sandbox gets it. */
  readonly runtime: string;
  readonly config: string;
  readonly pidFile: string;
  readonly runtimeLog: string;
  /** Is there while CRIU may be at work for the sandbox. */
  readonly criu: string;
  /** What a restore leaves until the sandbox ends: CRIU's log, the pid of init, and how its pager stands. */
  readonly restore: string;
}

export function layoutOf(instance: number, sandboxId: string, directory: string): SandboxLayout {
  return {
    ...rootLayoutOf(instance, sandboxId, directory),
    runtime: join(directory, 'runtime'),
    // crun wants this very name in the bundle folder.
    config: join(directory, 'config.json'),
    record: join(directory, 'container.json'),
    pidFile: join(directory, 'pid'),
    runtimeLog: join(directory, 'crun.log'),
    criu: join(directory, 'criu'),
    restore: join(directory, 'restore'),
  };
}
