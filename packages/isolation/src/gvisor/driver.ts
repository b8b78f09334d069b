import type { Logger } from '@soulbox/base';
import type { Driver } from '../driver.ts';
import { createOciDriver } from '../oci/create-oci-driver.ts';
import { syncVolumes } from '../oci/volumes/sync-volumes.ts';
import { adoptStarting } from './adopt-starting.ts';
import { isSandboxAlive } from './alive.ts';
import { restoreSandbox } from './checkpoint/restore.ts';
import { checkpointSandbox } from './checkpoint/save.ts';
import { endProcesses } from './end-processes.ts';
import { freezeSandbox, thawSandbox } from './freeze.ts';
import { createHost } from './host.ts';
import { layoutOf } from './layout.ts';
import { createMemoryLoans } from './memory-loans.ts';
import { findNetworkTrap } from './network-trap.ts';
import { probeHost } from './probe.ts';
import { listRuntimeStates, readRuntimeState } from './runtime-state.ts';
import { startSandbox } from './start.ts';
import { attachVolumes } from './volumes/attach-volumes.ts';
import { whyEnded } from './why-ended.ts';

export interface GvisorDriverOptions {
  readonly logger: Logger;
  /** 0 to 14: separates two servers on one host. */
  readonly instance: number;
}

/**
 * gVisor with runsc: a kernel in user space for each sandbox, on a disk, an id range and a control group of its own.
 * Needs root.
 */
export function createGvisorDriver({ logger, instance }: GvisorDriverOptions): Driver {
  const host = createHost(logger, instance, findNetworkTrap);
  const loans = createMemoryLoans(host);
  const driver = createOciDriver({
    host,
    name: 'gvisor',
    capabilities: {
      ownKernel: true,
      setuid: false,
      survivesOutOfMemory: false,
      sharedMemoryOnDisk: false,
      hidesEnvironments: false,
      fileAttributes: false,
      checkpoint: true,
      deletedFiles: false,
      handshakes: false,
      restoredTerminal: false,
      lazyRestore: false,
      volumes: true,
      sharedVolumeLocks: false,
    },
    // Measured: 0.02 to 0.035, most of it gVisor's own; a program that polls 100 times a second adds 0.012 and is not
    // noticed.
    idleCpus: 0.05,
    isMemoryPart: (name) => name === 'pages.img',
    readVersion: () => host.readVersion(),
    probe: (runtime) => probeHost(host, runtime),
    prepareHost: () => Promise.resolve(),
    layoutOf: (sandboxId, directory) => layoutOf(host.instance, sandboxId, directory),
    start: (spec, signal) => startSandbox(host, spec, signal),
    restore: (spec, memory, signal) => restoreSandbox(host, spec, memory, signal),
    checkpoint: (instance, directory, signal) => checkpointSandbox({ host, loans }, instance, directory, signal),
    attachVolumes: (instance, volumes, signal) => attachVolumes(host, instance, volumes, signal),
    syncVolumes: async (instance, signal) => {
      const { goferPid: pid } = readRuntimeState(host.instance, instance.sandboxId);
      await syncVolumes(host, instance, { pid, isAlive: () => isSandboxAlive(host, instance) }, signal);
    },
    adoptStarting: (sandboxId, directory) => adoptStarting(host, sandboxId, directory),
    isAlive: (instance) => isSandboxAlive(host, instance),
    whyEnded: (sandboxId) => whyEnded(host, sandboxId),
    // The process that opens files for the sandbox; the sandbox's kernel itself sees an empty root.
    rootPidOf: ({ sandboxId }) => readRuntimeState(host.instance, sandboxId).goferPid,
    freeze: (instance) => freezeSandbox(host, instance),
    thaw: (instance) => thawSandbox(host, instance),
    endProcesses: (sandboxId) => endProcesses(host, sandboxId),
    listKnown: () => listRuntimeStates(host.instance),
  });
  return {
    ...driver,
    async adopt(sandboxId, directory) {
      const found = await driver.adopt(sandboxId, directory);
      if (found !== undefined) loans.recall(found);
      return found;
    },
  };
}
