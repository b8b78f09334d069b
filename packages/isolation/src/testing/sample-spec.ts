import { Secret } from '@soulbox/base';
import type { SandboxSpec } from '../driver.ts';

/** A request to a driver, for tests of the files that the driver writes: nothing in it exists on the host. */
export function sampleSpec(): SandboxSpec {
  return {
    sandboxId: 'isample',
    directory: '/data/sandboxes/isample',
    rootfs: '/data/templates/base/rootfs',
    layers: [],
    disk: 'new',
    diskGrowthBytes: 16 * 2 ** 20,
    generation: 'first',
    envdBundle: {
      directory: '/data/runtime/hash',
      mountPoint: '/.soulbox',
      command: ['/.soulbox/envd', '--serve'],
      environment: ['ENVD=1'],
      forOwnKernel: ['OWN_KERNEL=1'],
    },
    idBase: 655_360,
    limits: { cpus: 2, memoryMb: 512, diskMb: 1024, maxProcesses: 400 },
    hostname: 'sandbox',
    nameServers: [],
    hostToken: new Secret('token'),
    attachNetwork: () => Promise.resolve(),
    volumes: [],
  };
}
