import type { Logger } from '@soulbox/base';
import { SoulBoxError } from '@soulbox/base';
import type { Driver, SandboxInstance, SandboxSpec } from '../driver.ts';
import { adoptSandbox } from './adopt.ts';
import { destroySandbox } from './destroy.ts';
import type { Host } from './host.ts';
import { createHost } from './host.ts';
import { initRuns } from '../host/init-process.ts';
import { listTraces } from './list-traces.ts';
import { probeHost } from './probe.ts';
import { sampleSandbox } from './sample.ts';
import { startSandbox } from './start.ts';

/**
 * Linux containers by crun: own namespaces, a uid range each, seccomp, control groups, an overlay on a disk of its own.
 * `instance` (0 to 14) keeps two servers of one host apart. Needs root.
 */
export function createContainerDriver(options: { logger: Logger; instance: number }): Driver {
  const host = createHost(options.logger, options.instance);
  const starts = new Map<string, RunningStart>();
  return {
    name: 'container',
    capabilities: { setuid: true, survivesOutOfMemory: true, checkpoint: false, lazyRestore: false },
    probe: () => probeHost(),
    start: (spec) => startAlone(host, starts, spec),
    adopt: (sandboxId, directory) => adoptSandbox(host, sandboxId, directory),
    isAlive: initRuns,
    sample: async (instance) => await Promise.resolve().then(() => sampleSandbox(host, instance)),
    freeze: async () => await lacksCheckpoint(),
    thaw: async () => await lacksCheckpoint(),
    checkpoint: async () => await lacksCheckpoint(),
    suspend: async () => await lacksCheckpoint(),
    takeDisk: async () => await lacksCheckpoint(),
    restore: async () => await lacksCheckpoint(),
    destroy: async (sandboxId, directory) => {
      // A start that goes on would make anew what is being removed.
      await cancelStart(starts.get(sandboxId));
      await destroySandbox(host, sandboxId, directory);
    },
    listTraces: () => listTraces(host),
  };
}

/** A start of this process that has not ended; the one thing the driver remembers. */
interface RunningStart {
  readonly cancel: AbortController;
  readonly ended: Promise<unknown>;
}

async function startAlone(host: Host, starts: Map<string, RunningStart>, spec: SandboxSpec): Promise<SandboxInstance> {
  const cancel = new AbortController();
  const started = startOrClean(host, spec, cancel.signal);
  starts.set(spec.sandboxId, { cancel, ended: started });
  try {
    return await started;
  } finally {
    starts.delete(spec.sandboxId);
  }
}

async function cancelStart(start: RunningStart | undefined): Promise<void> {
  start?.cancel.abort(new SoulBoxError('sandbox_start_failed', 'The sandbox was removed while it started.'));
  await Promise.allSettled([start?.ended]);
}

/** On any failure nothing is left. Throws `sandbox_start_failed`; the tools' own words are in its cause. */
async function startOrClean(host: Host, spec: SandboxSpec, signal: AbortSignal): Promise<SandboxInstance> {
  try {
    return await startSandbox(host, spec, signal);
  } catch (error) {
    await destroySandbox(host, spec.sandboxId, spec.directory);
    signal.throwIfAborted();
    if (error instanceof SoulBoxError) throw error;
    throw new SoulBoxError('sandbox_start_failed', `Sandbox ${spec.sandboxId} could not be started.`, { cause: error });
  }
}

async function lacksCheckpoint(): Promise<never> {
  return await Promise.reject(new SoulBoxError('capability_missing', 'The container driver cannot save memory.'));
}
