import { mkdir } from 'node:fs/promises';
import { randomBytes, randomUUID } from 'node:crypto';
import { Secret, sleep, SoulBoxError } from '@soulbox/base';
import type { Logger } from '@soulbox/base';
import { createSandboxId } from '@soulbox/contract';
import type { Driver, EnvdRuntime, SandboxInstance } from '@soulbox/isolation';
import { openNamespace } from '@soulbox/network';
import type { Namespace, Network } from '@soulbox/network';
import type { Template } from '@soulbox/templates';
import type { RunnerConfig } from '../config.ts';
import { createEnvdClient } from '../envd/envd-client.ts';
import type { RecordStore, SandboxRecord } from './record.ts';
import { idBaseOf } from './slots.ts';
import type { Slots } from './slots.ts';
import type { LiveSandbox } from './table.ts';

/** envd answers 40 ms after it was started at the earliest; a host under heavy load gets more time. */
const bootTimeoutMs = 20_000;
/** A call that nobody answers costs the server half a millisecond of CPU: none before it can succeed. */
const firstPollMs = 25;
const pollMs = 4;

/** What making, adopting and removing sandboxes needs. */
export interface SandboxHost {
  readonly config: RunnerConfig;
  readonly driver: Driver;
  readonly network: Network;
  readonly runtime: EnvdRuntime;
  readonly slots: Slots;
  readonly store: RecordStore;
  readonly logger: Logger;
}

/**
 * Makes a sandbox of the template and waits until its envd answers. On any failure all that was made is removed again and
 * `sandbox_start_failed` is thrown.
 */
export async function bootSandbox(host: SandboxHost, template: Template): Promise<LiveSandbox> {
  const sandboxId = createSandboxId();
  const slot = host.slots.take();
  const record: SandboxRecord = {
    formatVersion: 1,
    sandboxId,
    state: 'booting',
    slot,
    templateId: template.templateId,
    runtimeDirectory: host.runtime.directory,
    hostToken: randomBytes(32).toString('hex'),
    cpuCount: template.cpuCount,
    memoryMb: template.memoryMb,
    diskMb: template.diskMb,
  };
  const startedAt = performance.now();
  try {
    await host.store.write(record);
    const sandbox = await startRecorded(host, record, template);
    await waitForEnvd(host, sandbox);
    host.logger.info(
      { sandboxId, templateId: template.templateId, durationMs: Math.round(performance.now() - startedAt) },
      'sandbox booted',
    );
    return sandbox;
  } catch (cause) {
    host.logger.error({ sandboxId, err: cause }, 'sandbox boot failed');
    await removeSandbox(host, record);
    throw new SoulBoxError('sandbox_start_failed', 'The sandbox could not be started. The server log names the step.', {
      cause,
    });
  }
}

async function startRecorded(host: SandboxHost, record: SandboxRecord, template: Template): Promise<LiveSandbox> {
  const directory = host.store.directoryOf(record.sandboxId);
  await mkdir(directory, { mode: 0o700 });
  let namespace: Namespace | undefined;
  try {
    const instance = await host.driver.start({
      sandboxId: record.sandboxId,
      directory,
      rootfs: template.rootfs,
      layers: [],
      disk: 'new',
      generation: randomUUID(),
      runtime: host.runtime,
      idBase: idBaseOf(host.config.instance, record.slot),
      limits: {
        cpuCount: record.cpuCount,
        memoryMb: record.memoryMb,
        diskMb: record.diskMb,
        maxProcesses: host.config.maxProcesses,
      },
      hostname: record.sandboxId,
      nameServers: host.config.nameServers,
      hostToken: new Secret(record.hostToken),
      attachNetwork: async (path) => {
        await host.network.attach(record.slot, path);
        namespace = openNamespace(path);
      },
    });
    if (namespace === undefined) throw new Error('the driver did not attach the network');
    return liveSandbox(record, instance, namespace);
  } catch (error) {
    namespace?.close();
    throw error;
  }
}

export function liveSandbox(record: SandboxRecord, instance: SandboxInstance, namespace: Namespace): LiveSandbox {
  const envd = createEnvdClient(async (port) => await namespace.dial(port), new Secret(record.hostToken));
  return { record, instance, namespace, envd };
}

async function waitForEnvd(host: SandboxHost, sandbox: LiveSandbox): Promise<void> {
  const giveUpAt = performance.now() + bootTimeoutMs;
  await sleep(firstPollMs);
  while (!(await sandbox.envd.isHealthy())) {
    if (!host.driver.isAlive(sandbox.instance)) throw new Error('envd ended before it answered');
    if (performance.now() > giveUpAt) throw new Error(`envd did not answer within ${bootTimeoutMs} ms`);
    await sleep(pollMs);
  }
}

/** Removes everything of a sandbox, its record last, and frees its slot. Safe to repeat. */
export async function removeSandbox(host: SandboxHost, record: SandboxRecord): Promise<void> {
  await host.driver.destroy(record.sandboxId, host.store.directoryOf(record.sandboxId));
  await host.network.detach(record.slot);
  await host.store.remove(record.sandboxId);
  host.slots.release(record.slot);
}
