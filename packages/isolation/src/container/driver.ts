import type { Logger } from '@soulbox/base';
import { SoulBoxError } from '@soulbox/base';
import type { Driver, SandboxInstance, SandboxSpec } from '../driver.ts';
import { adoptSandbox } from './adopt.ts';
import { destroySandbox } from './destroy.ts';
import type { Host } from './host.ts';
import { createHost } from './host.ts';
import { listTraces } from './list-traces.ts';
import { probeHost } from './probe.ts';
import { startTicksOf } from './process-identity.ts';
import { sampleSandbox } from './sample.ts';
import { startSandbox } from './start.ts';

/**
 * Linux containers by crun: own namespaces, a uid range each, seccomp, control groups, an overlay on a disk of its own.
 * `instance` (0 to 14) keeps two servers of one host apart. Needs root.
 */
export function createContainerDriver(options: { logger: Logger; instance: number }): Driver {
  const host = createHost(options.logger, options.instance);
  return {
    name: 'container',
    capabilities: { setuid: true, survivesOutOfMemory: true },
    probe: () => probeHost(),
    start: (spec) => startOrClean(host, spec),
    adopt: (sandboxId, directory) => adoptSandbox(host, sandboxId, directory),
    isAlive: (instance) => startTicksOf(instance.initPid) === instance.initStartTicks,
    sample: async (instance) => await Promise.resolve().then(() => sampleSandbox(host, instance)),
    destroy: (sandboxId, directory) => destroySandbox(host, sandboxId, directory),
    listTraces: () => listTraces(host),
  };
}

/** On any failure nothing is left. Throws `sandbox_start_failed`; the tools' own words are in its cause. */
async function startOrClean(host: Host, spec: SandboxSpec): Promise<SandboxInstance> {
  try {
    return await startSandbox(host, spec);
  } catch (error) {
    await destroySandbox(host, spec.sandboxId, spec.directory);
    if (error instanceof SoulBoxError) throw error;
    throw new SoulBoxError('sandbox_start_failed', `Sandbox ${spec.sandboxId} could not be started.`, { cause: error });
  }
}
