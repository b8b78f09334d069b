import type { Logger } from '@soulbox/base';
import { SoulBoxError } from '@soulbox/base';
import type { Driver, SandboxInstance, SandboxSpec } from '../driver.ts';
import { toolsOf } from '../host/host-tool.ts';
import { createRunningStarts } from '../host/running-starts.ts';
import { copyDisk } from '../root/copy-disk.ts';
import { readUnmountedDisk } from '../root/disk.ts';
import { moveDisk } from '../root/kept-disk.ts';
import { hasRunAgain } from '../root/ran-again.ts';
import { cgroupOf } from '../root/layout.ts';
import { openSandboxDisk } from '../root/sandbox-disk.ts';
import { adoptSandbox } from './adopt.ts';
import { isSandboxAlive } from './alive.ts';
import { checkpointSandbox } from './checkpoint.ts';
import { destroySandbox } from './destroy.ts';
import { freezeSandbox, thawSandbox } from './freeze.ts';
import type { Host } from './host.ts';
import { createHost } from './host.ts';
import { layoutOf } from './layout.ts';
import { listTraces } from './list-traces.ts';
import { probeHost } from './probe.ts';
import { readRuntimeState } from './runtime-state.ts';
import { sampleSandbox } from './sample.ts';
import { restoreSandbox, startSandbox } from './start.ts';
import { suspendSandbox } from './suspend.ts';

/**
 * gVisor by runsc: a kernel in user space for each sandbox, on a disk, an id range and a control group of its own.
 * `instance` (0 to 14) keeps two servers of one host apart. Needs root.
 */
export function createGvisorDriver(options: { logger: Logger; instance: number }): Driver {
  const host = createHost(options.logger, options.instance);
  const starts = createRunningStarts();
  const diskPath = (sandboxId: string, directory: string): string =>
    layoutOf(host.instance, sandboxId, directory).image;
  return {
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
      restoredTerminal: false,
      lazyRestore: false,
    },
    // Measured: 0.02 to 0.035, most of it gVisor's own; a program that polls 100 times a second adds 0.012 and is not seen.
    idleCpus: 0.05,
    readVersion: () => host.readVersion(),
    probe: (runtime) => probeHost(host, runtime),
    start: async (spec) =>
      await starts.run(spec.sandboxId, (signal) =>
        orClean(host, spec, signal, 'sandbox_start_failed', () => startSandbox(host, spec, signal)),
      ),
    adopt: (sandboxId, directory) => adoptSandbox(host, sandboxId, directory),
    isAlive: (instance) => isSandboxAlive(host, instance),
    // The host's kernel sees one process, and has ended it.
    whyEnded: async (sandboxId) =>
      await Promise.resolve(
        host.cgroups.countOutOfMemory(cgroupOf(host.instance, sandboxId)) > 0 ? 'out_of_memory' : undefined,
      ),
    sample: async (instance) => await Promise.resolve().then(() => sampleSandbox(host, instance)),
    openDisk: (instance) =>
      openSandboxDisk(instance, {
        layout: layoutOf(host.instance, instance.sandboxId, instance.directory),
        // The sandbox's kernel itself sees an empty root.
        rootPid: readRuntimeState(host.instance, instance.sandboxId).goferPid,
        isAlive: () => isSandboxAlive(host, instance),
        tools: toolsOf(host, instance.sandboxId),
      }),
    freeze: (instance) => freezeSandbox(host, instance),
    thaw: (instance) => thawSandbox(host, instance),
    checkpoint: (instance, directory) => checkpointSandbox(host, instance, directory),
    suspend: async (sandboxId, directory) => {
      await starts.cancel(sandboxId);
      await suspendSandbox(host, sandboxId, directory);
    },
    diskPath,
    readKeptDisk: (sandboxId, directory) => readUnmountedDisk(diskPath(sandboxId, directory)),
    copyDisk: async (instance, layer) => {
      const { sandboxId, directory } = instance;
      const layout = layoutOf(host.instance, sandboxId, directory);
      await starts.run(sandboxId, (signal) => copyDisk(layout, instance, toolsOf(host, sandboxId), layer, signal));
    },
    hasRunAgain: (sandboxId, directory, generation) =>
      hasRunAgain(layoutOf(host.instance, sandboxId, directory), generation),
    takeDisk: (sandboxId, directory, layer) => moveDisk(diskPath(sandboxId, directory), layer),
    restore: async (spec, { directory: memory }) =>
      await starts.run(spec.sandboxId, (signal) =>
        orClean(host, spec, signal, 'sandbox_resume_failed', () => restoreSandbox(host, spec, memory, signal)),
      ),
    destroy: async (sandboxId, directory) => {
      // A start that goes on would make anew what is being removed.
      await starts.cancel(sandboxId);
      await destroySandbox(host, sandboxId, directory);
    },
    listTraces: () => listTraces(host),
  };
}

/** On any failure nothing is left but a disk that was there before. Throws `reason`; the tools' own words are in its cause. */
async function orClean(
  host: Host,
  spec: SandboxSpec,
  signal: AbortSignal,
  reason: 'sandbox_start_failed' | 'sandbox_resume_failed',
  start: () => Promise<SandboxInstance>,
): Promise<SandboxInstance> {
  try {
    return await start();
  } catch (error) {
    const clean = spec.disk === 'kept' ? suspendSandbox : destroySandbox;
    await clean(host, spec.sandboxId, spec.directory);
    signal.throwIfAborted();
    if (error instanceof SoulBoxError) throw error;
    throw new SoulBoxError(reason, `Sandbox "${spec.sandboxId}" could not be started.`, { cause: error });
  }
}
