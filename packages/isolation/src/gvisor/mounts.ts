import type { SandboxSpec } from '../driver.ts';
import type { OciMount } from '../oci/mounts.ts';
import { ownMounts } from '../oci/mounts.ts';
import { placesMounts } from './volumes/places.ts';
import type { SandboxLayout } from './layout.ts';

/**
 * In mount order. There is nothing of the host's /proc and /sys to hide: gVisor provides its own. The memory behind
 * /dev/shm is the sandbox's. Half of it is also Linux's default, and keeps a full /dev/shm from ending the sandbox.
 */
export function gvisorMounts(spec: SandboxSpec, layout: SandboxLayout): readonly OciMount[] {
  const sharedMemory = ['nosuid', 'nodev', 'noexec', 'mode=1777', `size=${Math.ceil(spec.limits.memoryMb / 2)}m`];
  return [
    { destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid', 'noexec', 'nodev'] },
    { destination: '/sys', type: 'sysfs', source: 'sysfs', options: ['nosuid', 'noexec', 'nodev', 'ro'] },
    { destination: '/dev', type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'noexec'] },
    { destination: '/dev/pts', type: 'devpts', source: 'devpts', options: ['nosuid', 'noexec'] },
    { destination: '/dev/shm', type: 'tmpfs', source: 'tmpfs', options: sharedMemory },
    ...ownMounts(spec, layout),
    ...placesMounts(layout),
  ];
}
