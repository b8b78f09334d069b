import { join } from 'node:path';
import type { SandboxSpec } from '../driver.ts';
import type { SandboxLayout } from './layout.ts';
import { diskFolders } from '../root/layout.ts';
import { ownFiles } from '../root/own-files.ts';

interface OciMount {
  readonly destination: string;
  readonly type: string;
  readonly source: string;
  readonly options: readonly string[];
}

/**
 * In order. Nothing of the host's /proc and /sys is there to be hidden: gVisor makes its own. Memory behind /dev/shm is the
 * sandbox's; half of it is what Linux gives, and keeps a full /dev/shm from ending the sandbox.
 */
export function gvisorMounts(spec: SandboxSpec, layout: SandboxLayout): readonly OciMount[] {
  const fromDisk = (...parts: string[]): string => join(layout.disk, ...parts);
  const sharedMemory = ['nosuid', 'nodev', 'noexec', 'mode=1777', `size=${Math.ceil(spec.limits.memoryMb / 2)}m`];
  return [
    { destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid', 'noexec', 'nodev'] },
    { destination: '/sys', type: 'sysfs', source: 'sysfs', options: ['nosuid', 'noexec', 'nodev', 'ro'] },
    { destination: '/dev', type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'noexec'] },
    { destination: '/dev/pts', type: 'devpts', source: 'devpts', options: ['nosuid', 'noexec'] },
    { destination: '/dev/shm', type: 'tmpfs', source: 'tmpfs', options: sharedMemory },
    ...Object.entries(ownFiles).map(([name, destination]) =>
      bind(fromDisk(diskFolders.etc, name), destination, 'ro', 'nosuid', 'nodev', 'noexec'),
    ),
    bind(fromDisk(diskFolders.run), '/run/soulbox', 'rw', 'nosuid', 'nodev', 'noexec'),
    bind(layout.runtime, spec.runtime.mountPoint, 'ro', 'nosuid', 'nodev'),
  ];
}

function bind(source: string, destination: string, ...options: string[]): OciMount {
  return { destination, type: 'bind', source, options: ['bind', ...options] };
}
