import { join } from 'node:path';
import type { SandboxSpec } from '../driver.ts';
import { diskFolders } from '../root/layout.ts';
import { ownFiles } from '../root/own-files.ts';

export interface OciMount {
  readonly destination: string;
  readonly type: string;
  readonly source: string;
  readonly options: readonly string[];
}

export function bind(source: string, destination: string, ...options: string[]): OciMount {
  return { destination, type: 'bind', source, options: ['bind', ...options] };
}

/**
 * The mounts of a sandbox besides its root: its own files and those of the server. `disk` and `envdBundle`: where both are
 * mounted on the host.
 */
export function ownMounts(spec: SandboxSpec, { disk, envdBundle }: { disk: string; envdBundle: string }): OciMount[] {
  return [
    ...Object.entries(ownFiles).map(([name, destination]) =>
      bind(join(disk, diskFolders.etc, name), destination, 'ro', 'nosuid', 'nodev', 'noexec'),
    ),
    bind(join(disk, diskFolders.run), '/run/soulbox', 'rw', 'nosuid', 'nodev', 'noexec'),
    bind(envdBundle, spec.envdBundle.mountPoint, 'ro', 'nosuid', 'nodev'),
  ];
}
