import type { Logger } from '@soulbox/base';
import { SoulBoxError } from '@soulbox/base';
import type { Driver, SandboxInstance, SandboxSpec } from '../driver.ts';
import { initRuns, refuseDoomed } from '../host/init-process.ts';
import { toolsOf } from '../host/host-tool.ts';
import type { RunningStarts } from '../host/running-starts.ts';
import { createRunningStarts } from '../host/running-starts.ts';
import { copyDisk } from '../root/copy-disk.ts';
import { readUnmountedDisk } from '../root/disk.ts';
import { moveDisk } from '../root/kept-disk.ts';
import { hasRunAgain } from '../root/ran-again.ts';
import { cgroupOf } from '../root/layout.ts';
import { openSandboxDisk } from '../root/sandbox-disk.ts';
import { adoptSandbox } from './adopt.ts';
import type { Criu } from './checkpoint/criu.ts';
import { checkpointSandbox, outwaitSave } from './checkpoint/dump.ts';
import { restoreFailure, restoreSandbox } from './checkpoint/restore.ts';
import { destroySandbox } from './destroy.ts';
import type { Host } from './host.ts';
import { createHost } from './host.ts';
import { layoutOf } from './layout.ts';
import { listTraces } from './list-traces.ts';
import { canServePages } from './pager/can-serve.ts';
import { probeHost } from './probe.ts';
import { sampleSandbox } from './sample.ts';
import { startSandbox } from './start.ts';
import { suspendSandbox } from './suspend.ts';
import { whyEnded } from './why-ended.ts';

export interface ContainerDriverOptions {
  readonly logger: Logger;
  /** 0 to 14: keeps two servers of one host apart. */
  readonly instance: number;
  /** Without it, memory cannot be saved. */
  readonly criu?: Criu;
}

/**
 * Linux containers by crun: own namespaces, a uid range each, seccomp, control groups, an overlay on a disk of its own.
 * CRIU saves and restores them. Needs root.
 */
export function createContainerDriver(options: ContainerDriverOptions): Driver {
  const host = createHost(options.logger, options.instance, options.criu);
  // Whoever ends a sandbox ends what is under way for it first: it would make anew what is being removed.
  const running = createRunningStarts();
  return {
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
      restoredTerminal: true,
      lazyRestore: host.criu !== undefined && canServePages(),
    },
    // Measured: up to 0.005. A program that polls 100 times a second takes more.
    idleCpus: 0.01,
    readVersion: () => host.readVersion(),
    probe: () => probeHost(host.criu),
    start: (spec) => startOrClean(host, running, spec),
    adopt: (sandboxId, directory) => adoptSandbox(host, sandboxId, directory),
    isAlive: initRuns,
    whyEnded: (sandboxId, directory) => whyEnded(layoutOf(host.instance, sandboxId, directory).restore),
    sample: async (instance) => await Promise.resolve().then(() => sampleSandbox(host, instance)),
    openDisk: (instance) =>
      openSandboxDisk(instance, {
        layout: layoutOf(host.instance, instance.sandboxId, instance.directory),
        rootPid: instance.initPid,
        isAlive: () => initRuns(instance),
        tools: toolsOf(host, instance.sandboxId),
      }),
    ...checkpoints(host, running),
    destroy: async (sandboxId, directory) => {
      await running.cancel(sandboxId);
      await destroySandbox(host, sandboxId, directory);
    },
    listTraces: () => listTraces(host),
  };
}

type Checkpoints = Pick<
  Driver,
  | 'freeze'
  | 'thaw'
  | 'checkpoint'
  | 'suspend'
  | 'diskPath'
  | 'readKeptDisk'
  | 'copyDisk'
  | 'takeDisk'
  | 'restore'
  | 'hasRunAgain'
>;

function checkpoints(host: Host, running: RunningStarts): Checkpoints {
  const diskPath = (sandboxId: string, directory: string): string =>
    layoutOf(host.instance, sandboxId, directory).image;
  const groupOf = (instance: SandboxInstance): string => cgroupOf(host.instance, instance.sandboxId);
  return {
    freeze: async (instance) => await host.cgroups.freeze(groupOf(instance)),
    thaw: async (instance) => {
      await outwaitSave(host, layoutOf(host.instance, instance.sandboxId, instance.directory), instance.sandboxId);
      refuseDoomed(instance);
      await host.cgroups.thaw(groupOf(instance));
    },
    checkpoint: async (instance, directory) => {
      const criu = getCriu(host);
      await running.run(instance.sandboxId, (signal) => checkpointSandbox(host, criu, instance, directory, signal));
    },
    suspend: async (sandboxId, directory) => {
      await running.cancel(sandboxId);
      await suspendSandbox(host, sandboxId, directory);
    },
    diskPath,
    readKeptDisk: (sandboxId, directory) => readUnmountedDisk(diskPath(sandboxId, directory)),
    copyDisk: async (instance, layer) => {
      const { sandboxId, directory } = instance;
      const layout = layoutOf(host.instance, sandboxId, directory);
      await running.run(sandboxId, (signal) => copyDisk(layout, instance, toolsOf(host, sandboxId), layer, signal));
    },
    hasRunAgain: async (sandboxId, directory, generation) =>
      await hasRunAgain(layoutOf(host.instance, sandboxId, directory), generation),
    takeDisk: async (sandboxId, directory, layer) => await moveDisk(diskPath(sandboxId, directory), layer),
    restore: async (spec, memory) => {
      const criu = getCriu(host);
      return await running.run(spec.sandboxId, async (signal) => {
        try {
          return await restoreSandbox(host, criu, spec, memory, signal);
        } catch (error) {
          const failure = await restoreFailure(host, spec, error, signal);
          await clean(host, spec);
          signal.throwIfAborted();
          throw failure;
        }
      });
    },
  };
}

/** On any failure nothing is left but a kept disk. Throws `sandbox_start_failed`; the tools' own words are in its cause. */
async function startOrClean(host: Host, running: RunningStarts, spec: SandboxSpec): Promise<SandboxInstance> {
  return await running.run(spec.sandboxId, async (signal) => {
    try {
      return await startSandbox(host, spec, signal);
    } catch (error) {
      await clean(host, spec);
      signal.throwIfAborted();
      if (error instanceof SoulBoxError) throw error;
      const message = `Sandbox "${spec.sandboxId}" could not be started.`;
      throw new SoulBoxError('sandbox_start_failed', message, { cause: error });
    }
  });
}

async function clean(host: Host, spec: SandboxSpec): Promise<void> {
  if (spec.disk === 'kept') await suspendSandbox(host, spec.sandboxId, spec.directory);
  else await destroySandbox(host, spec.sandboxId, spec.directory);
}

function getCriu(host: Host): Criu {
  if (host.criu !== undefined) return host.criu;
  throw new SoulBoxError(
    'capability_missing',
    'Memory cannot be saved because this server does not have CRIU. Run `soulbox doctor`.',
  );
}
