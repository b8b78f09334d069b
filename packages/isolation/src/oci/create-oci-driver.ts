import { SoulBoxError } from '@soulbox/base';
import { refuseVolumePaths } from '@soulbox/contract';
import { createHeldFiles } from '@soulbox/linux/held-files';
import type { HeldFiles } from '@soulbox/linux/held-files';
import type { Driver, SandboxInstance, SandboxSpec } from '../driver.ts';
import { toolsOf } from '../host/host-tool.ts';
import { copyDisk } from '../root/copy-disk.ts';
import { readUnmountedDisk } from '../root/disk.ts';
import { moveDisk } from '../root/kept-disk.ts';
import { hasRunAgain } from '../root/ran-again.ts';
import { openSandboxDisk } from '../root/sandbox-disk.ts';
import { adoptSandbox } from './adopt.ts';
import { destroySandbox, suspendSandbox } from './end.ts';
import { listTraces } from './list-traces.ts';
import type { OciRuntime } from './oci-runtime.ts';
import { createRunningStarts } from './running-starts.ts';
import type { RunningStarts } from './running-starts.ts';
import { readCpuUsed, sampleSandbox } from './sample.ts';

/**
 * A driver on top of an OCI runtime: adds the parts that are the same for all runtimes, namely the disk, the cleanup
 * after a failure, and the order of operations on a sandbox.
 */
export function createOciDriver(runtime: OciRuntime): Driver {
  // Ending a sandbox first ends the operations in progress on it: they would create again what is being removed.
  const running = createRunningStarts();
  /** By sandbox. */
  const held = createHeldFiles();
  return {
    name: runtime.name,
    capabilities: runtime.capabilities,
    idleCpus: runtime.idleCpus,
    isMemoryPart: (name) => runtime.isMemoryPart(name),
    readVersion: () => runtime.readVersion(),
    probe: (envd) => runtime.probe(envd),
    prepareHost: () => runtime.prepareHost(),
    isAlive: (instance) => runtime.isAlive(instance),
    whyEnded: (sandboxId, directory) => runtime.whyEnded(sandboxId, directory),
    freeze: (instance) => runtime.freeze(instance),
    thaw: (instance) => runtime.thaw(instance),
    start: async (spec) =>
      await running.run(spec.sandboxId, (signal) =>
        orClean(runtime, spec, signal, 'sandbox_start_failed', () => runtime.start(spec, signal)),
      ),
    restore: async (spec, memory) => {
      // Before any change: a refusal must not clean up after an existing sandbox.
      if (!runtime.capabilities.checkpoint) throw cannotRestore(runtime);
      return await running.run(spec.sandboxId, (signal) =>
        orClean(runtime, spec, signal, 'sandbox_resume_failed', async () => {
          try {
            return await runtime.restore(spec, memory, signal);
          } catch (error) {
            throw (await runtime.explainRestore?.(spec, error, signal)) ?? error;
          }
        }),
      );
    },
    checkpoint: async (instance, directory) =>
      await running.run(instance.sandboxId, (signal) => runtime.checkpoint(instance, directory, signal)),
    attachVolumes: async (instance, volumes) => {
      if (runtime.attachVolumes === undefined) throw cannotMount(runtime);
      refuseVolumePaths(volumes.map(({ path }) => path));
      await running.run(instance.sandboxId, async (signal) => {
        await runtime.attachVolumes?.(instance, volumes, signal);
      });
    },
    syncVolumes: async (instance) => {
      await running.run(instance.sandboxId, async (signal) => {
        await runtime.syncVolumes?.(instance, signal);
      });
    },
    adopt: (sandboxId, directory) => adoptSandbox(runtime, sandboxId, directory),
    expectLateRestore: () => runtime.expectLateRestore?.(),
    wantFirstBlocks: (memory) => runtime.wantFirstBlocks?.(memory),
    suspend: async (sandboxId, directory) => {
      await running.cancel(sandboxId);
      held.release(sandboxId);
      await suspendSandbox(runtime, sandboxId, directory);
    },
    destroy: async (sandboxId, directory) => {
      await running.cancel(sandboxId);
      held.release(sandboxId);
      await destroySandbox(runtime, sandboxId, directory);
    },
    readCpuUsed: (instance) => readCpuUsed(runtime, instance, held.readFor(instance.sandboxId)),
    sample: (instance) => sampleSandbox(runtime, instance, held.readFor(instance.sandboxId)),
    listTraces: () => listTraces(runtime),
    ...disks(runtime, running, held),
  };
}

function cannotRestore({ name }: OciRuntime): SoulBoxError {
  const message = `The driver "${name}" cannot restore memory on this server. Run \`soulbox doctor\`.`;
  return new SoulBoxError('capability_missing', message);
}

function cannotMount({ name }: OciRuntime): SoulBoxError {
  return new SoulBoxError('capability_missing', `Sandboxes with the isolation "${name}" cannot have volumes.`);
}

type Disks = Pick<Driver, 'openDisk' | 'diskPath' | 'readKeptDisk' | 'copyDisk' | 'takeDisk' | 'hasRunAgain'>;

function disks(runtime: OciRuntime, running: RunningStarts, held: HeldFiles): Disks {
  const diskPath = (sandboxId: string, directory: string): string => runtime.layoutOf(sandboxId, directory).image;
  const placeOf = ({ sandboxId, directory }: SandboxInstance) => ({
    layout: runtime.layoutOf(sandboxId, directory),
    tools: toolsOf(runtime.host, sandboxId),
  });
  return {
    openDisk: (instance) => {
      const read = held.readFor(instance.sandboxId);
      return openSandboxDisk(instance, {
        ...placeOf(instance),
        ...{ rootPid: runtime.rootPidOf(instance), isAlive: () => runtime.isAlive(instance, read) },
        readCpuUsed: () => readCpuUsed(runtime, instance, read),
        ...{ read, release: () => held.release(instance.sandboxId) },
      });
    },
    diskPath,
    readKeptDisk: (sandboxId, directory) => readUnmountedDisk(diskPath(sandboxId, directory)),
    copyDisk: async (instance, layer) => {
      const { layout, tools } = placeOf(instance);
      await running.run(instance.sandboxId, (signal) => copyDisk(layout, instance, tools, layer, signal));
    },
    takeDisk: (sandboxId, directory, layer) => moveDisk(diskPath(sandboxId, directory), layer),
    hasRunAgain: (sandboxId, directory, generation) => hasRunAgain(runtime.layoutOf(sandboxId, directory), generation),
  };
}

/** After any failure nothing is left but a kept disk. Throws `reason`; the tools' own messages are in its cause. */
async function orClean(
  runtime: OciRuntime,
  spec: SandboxSpec,
  signal: AbortSignal,
  reason: 'sandbox_start_failed' | 'sandbox_resume_failed',
  start: () => Promise<SandboxInstance>,
): Promise<SandboxInstance> {
  try {
    return await start();
  } catch (error) {
    const clean = spec.disk === 'kept' ? suspendSandbox : destroySandbox;
    await clean(runtime, spec.sandboxId, spec.directory);
    signal.throwIfAborted();
    if (error instanceof SoulBoxError) throw error;
    const verb = reason === 'sandbox_start_failed' ? 'started' : 'resumed';
    throw new SoulBoxError(reason, `Sandbox "${spec.sandboxId}" could not be ${verb}.`, { cause: error });
  }
}
