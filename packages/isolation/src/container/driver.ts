import { SoulBoxError } from '@soulbox/base';
import type { Driver } from '../driver.ts';
import { initRuns } from '../host/init-process.ts';
import { startMerging } from '../host/merge-memory.ts';
import { createOciDriver } from '../oci/create-oci-driver.ts';
import { syncVolumes } from '../oci/volumes/sync-volumes.ts';
import { attachVolumes } from './attach-volumes.ts';
import type { Criu } from './criu.ts';
import { removeLeftRoots } from './checkpoint/left-roots.ts';
import { restoreFailure, restoreSandbox } from './checkpoint/restore.ts';
import { checkpointSandbox } from './checkpoint/save.ts';
import { endProcesses } from './end-processes.ts';
import { freezeSandbox, thawSandbox } from './freeze.ts';
import type { ContainerDriverOptions, Host } from './host.ts';
import { createHost } from './host.ts';
import { layoutOf } from './layout.ts';
import { reclaimNull } from './null-device.ts';
import { canServePages } from './pager/can-serve.ts';
import { wantEagerBlocks } from './pager/eager-blocks.ts';
import { probeHost } from './probe.ts';
import { listRuntimeStates } from './runtime-state.ts';
import { startSandbox } from './start.ts';
import { whyEnded } from './why-ended.ts';

/**
 * Linux containers with crun: own namespaces, a uid range for each, seccomp, control groups, an overlay on a disk of
 * its own. CRIU saves and restores them. Needs root.
 */
export function createContainerDriver(options: ContainerDriverOptions): Driver {
  const host = createHost(options);
  return createOciDriver({
    host,
    name: 'container',
    capabilities: {
      ownKernel: false,
      setuid: true,
      survivesOutOfMemory: true,
      sharedMemoryOnDisk: true,
      hidesEnvironments: true,
      fileAttributes: true,
      checkpoint: host.criu !== undefined,
      deletedFiles: true,
      handshakes: true,
      restoredTerminal: true,
      lazyRestore: host.criu !== undefined && canServePages(),
      volumes: true,
      sharedVolumeLocks: true,
    },
    // Measured: up to 0.005. A program that polls 100 times a second uses more.
    idleCpus: 0.01,
    // CRIU's files: one for each process with memory of its own.
    isMemoryPart: (name) => /^pages-\d+\.img$/.test(name),
    readVersion: () => host.readVersion(),
    probe: () => probeHost(host.criu),
    prepareHost: async () => {
      await reclaimNull();
      if (options.mergeMemory === true) await startMerging();
      host.createShells.fill();
      if (host.criu === undefined) return;
      await removeLeftRoots();
      host.criuShells.fill();
    },
    layoutOf: (sandboxId, directory) => layoutOf(host.instance, sandboxId, directory),
    start: (spec, signal) => startSandbox(host, spec, signal),
    restore: async (spec, memory, signal) => await restoreSandbox(host, getCriu(host), spec, memory, signal),
    expectLateRestore() {
      if (host.criu !== undefined && canServePages()) host.pagers.fill();
    },
    wantFirstBlocks: ({ directory, digests }) => wantEagerBlocks(directory, digests),
    explainRestore: (spec, error, signal) => restoreFailure(host, spec, error, signal),
    checkpoint: async (instance, directory, signal) =>
      await checkpointSandbox(host, getCriu(host), instance, directory, signal),
    attachVolumes: (instance, volumes, signal) => attachVolumes(host, instance, volumes, signal),
    syncVolumes: async (instance, signal) => {
      const init = { pid: instance.initPid, isAlive: () => initRuns(instance) };
      await syncVolumes(host, instance, init, signal);
    },
    isAlive: initRuns,
    whyEnded: (sandboxId, directory) => whyEnded(layoutOf(host.instance, sandboxId, directory).restore),
    rootPidOf: ({ initPid }) => initPid,
    freeze: (instance) => freezeSandbox(host, instance),
    thaw: (instance) => thawSandbox(host, instance),
    endProcesses: (sandboxId, directory) => endProcesses(host, sandboxId, directory),
    listKnown: () => listRuntimeStates(host.instance),
  });
}

function getCriu(host: Host): Criu {
  if (host.criu !== undefined) return host.criu;
  const message = 'Memory cannot be saved because this server does not have CRIU. Run `soulbox doctor`.';
  throw new SoulBoxError('capability_missing', message);
}
