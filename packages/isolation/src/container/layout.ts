import { join } from 'node:path';
import type { RootLayout } from '../root/layout.ts';
import { rootLayoutOf, runFolder } from '../root/layout.ts';

/** Where this driver keeps what in a sandbox's folder, beside the parts of its root. */
export interface SandboxLayout extends RootLayout {
  readonly config: string;
  readonly record: string;
  readonly pidFile: string;
  readonly runtimeLog: string;
  /** Is there while CRIU may be at work for the sandbox, and holds what CRIU leaves: log, pid of a restored init. */
  readonly criu: string;
}

export function layoutOf(instance: number, sandboxId: string, directory: string): SandboxLayout {
  return {
    ...rootLayoutOf(instance, sandboxId, directory),
    // crun wants this very name in the bundle folder.
    config: join(directory, 'config.json'),
    record: join(directory, 'container.json'),
    pidFile: join(directory, 'pid'),
    runtimeLog: join(directory, 'crun.log'),
    criu: join(directory, 'criu'),
  };
}

/** crun's `--root`. */
export function runtimeRoot(instance: number): string {
  return join(runFolder(instance), 'crun');
}
