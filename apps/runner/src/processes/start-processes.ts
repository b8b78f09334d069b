import { mkdir } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { phase, Secret } from '@soulbox/base';
import { envdPort } from '@soulbox/contract';
import type { Dial } from '@soulbox/contract';
import { createEnvdClient } from '@soulbox/envd-client';
import type { Driver, SandboxInstance, SandboxSpec } from '@soulbox/isolation';
import { openNamespace } from '@soulbox/network';
import type { Namespace } from '@soulbox/network';
import { createForwardedDial } from '../envd/forwarded-dial.ts';
import { diskNeedOf } from './disk-need.ts';
import { sharedCpus } from '../host/shared-cpus.ts';
import { getDriver, bundleDirectoryOf } from './sandbox-host.ts';
import type { SandboxHost } from './sandbox-host.ts';
import { policyOf } from '../registry/network-policy.ts';
import type { HostRecord } from '../registry/record.ts';
import type { CheckedMemory } from './check-memory.ts';
import type { OpenedVolumes } from './volume-mounts.ts';
import { idBaseOf } from '../registry/slots.ts';
import type { KnownSandbox, Live } from '../registry/table.ts';

/** envd answers 25 ms after it was started at the earliest; a host under heavy load gets more time. */
const bootTimeoutMs = 20_000;
const firstPollMs = 20;
const pollMs = 2;
/**
 * The next check comes after this part of the time that has passed, if that is longer. When many sandboxes boot at once,
 * each takes longer, and frequent checks would take CPU time from the boots.
 */
const pollPart = 1 / 16;

/**
 * Starts the processes that the record describes, either fresh or restored from `memory`. Restored processes run only
 * after their pages are checked. The network has the tenant's policy before the first packet. After an error nothing is
 * left, except a kept disk.
 */
export async function startProcesses(
  host: SandboxHost,
  record: HostRecord,
  rootfs: string,
  memory?: CheckedMemory,
): Promise<Live> {
  const driver = getDriver(host, record.driver);
  let namespace: Namespace | undefined;
  const attachNetwork = async (path: string): Promise<void> => {
    // No process runs before this resolves.
    await phase('check', async () => await memory?.pagesChecked);
    await phase('network', async () => await attachTo(host, record, path));
    namespace = openNamespace(path);
  };
  await using volumes = await openVolumes(host, record);
  const need = await phase('disk', async () => await diskNeedOf(host, record));
  using _room = host.disks.admit(need.bytes, 'The disk of the sandbox');
  const spec = await createSpec(host, record, rootfs, { attachNetwork, volumes, diskGrowthBytes: need.growthBytes });
  // Only CRIU is known to read no page before the network is attached.
  if (!driver.capabilities.lazyRestore) await phase('check', async () => await memory?.pagesChecked);
  try {
    const instance =
      memory === undefined
        ? await phase('start', async () => await driver.start(spec))
        : await phase('restore', async () => await driver.restore(spec, memory));
    if (namespace === undefined) throw new Error('the driver did not attach the network');
    if (memory === undefined && volumes !== undefined)
      await phase('volumes', async () => await attachOrEnd(driver, spec, instance, volumes.volumes));
    host.disks.watch(record.sandboxId, () => driver.openDisk(instance));
    return liveFrom(record, driver, instance, namespace);
  } catch (error) {
    namespace?.close();
    await host.volumes.release(record.sandboxId);
    throw error;
  }
}

async function attachOrEnd(
  driver: Driver,
  { disk }: SandboxSpec,
  instance: SandboxInstance,
  volumes: SandboxSpec['volumes'],
): Promise<void> {
  try {
    await driver.attachVolumes(instance, volumes);
  } catch (error) {
    const { sandboxId, directory } = instance;
    if (disk === 'kept') await driver.suspend(sandboxId, directory);
    else await driver.destroy(sandboxId, directory);
    throw error;
  }
}

/** Restored programs of a spare have no network. Its later tenant may not allow it. */
async function attachTo({ network }: SandboxHost, record: HostRecord, path: string): Promise<void> {
  const { slot, state, tenant } = record;
  if (state === 'restoring' && tenant === undefined) await network.attachUnplugged(slot, path);
  else await network.attach(slot, path, policyOf(record));
}

async function createSpec(
  host: SandboxHost,
  record: HostRecord,
  rootfs: string,
  {
    attachNetwork,
    diskGrowthBytes,
    volumes,
  }: Pick<SandboxSpec, 'attachNetwork' | 'diskGrowthBytes'> & { readonly volumes: OpenedVolumes | undefined },
): Promise<SandboxSpec> {
  const directory = host.store.directoryOf(record.sandboxId);
  await mkdir(directory, { recursive: true, mode: 0o700 });
  return {
    sandboxId: record.sandboxId,
    directory,
    rootfs,
    layers: record.layers.map((layerId) => host.checkpoints.layerPath(layerId)),
    disk: record.disk,
    diskGrowthBytes,
    generation: record.generation,
    envdBundle: { ...host.envdBundle, directory: bundleDirectoryOf(host, record.runtimeName) },
    idBase: idBaseOf(host.config.instance, record.slot),
    limits: {
      cpus: Math.min(record.cpuCount, sharedCpus(host.config)),
      memoryMb: record.memoryMb,
      diskMb: record.diskMb,
      maxProcesses: host.config.maxProcesses,
    },
    hostname: record.sandboxId,
    nameServers: host.config.nameServers,
    hostToken: new Secret(record.hostToken),
    attachNetwork,
    volumes: volumes?.volumes ?? [],
  };
}

/** What the record names. They are served before anything can use them: a restore opens the files of programs. */
async function openVolumes(host: SandboxHost, record: HostRecord): Promise<OpenedVolumes | undefined> {
  const { sandboxId, volumes } = record;
  if (volumes.length === 0) return undefined;
  return await phase('volumes', async () => {
    await using unused = new AsyncDisposableStack();
    const opened = unused.use(await host.volumes.open(sandboxId, volumes));
    await opened.served;
    unused.move();
    return opened;
  });
}

export function liveFrom(record: HostRecord, driver: Driver, instance: SandboxInstance, namespace: Namespace): Live {
  const hostToken = new Secret(record.hostToken);
  const direct: Dial<Socket> = async (port) => await namespace.dial(port);
  return {
    driver,
    instance,
    namespace,
    dial: driver.capabilities.ownKernel ? createForwardedDial(direct, hostToken) : direct,
    envd: createEnvdClient(direct, hostToken),
  };
}

/** Closes the runner's own connections into a sandbox and forgets its processes. */
export function disconnect(sandbox: KnownSandbox): void {
  sandbox.live?.envd.close();
  sandbox.live?.namespace.close();
  sandbox.live = undefined;
}

/** Throws when envd ends or does not answer in time. */
export async function waitForEnvd({ driver, instance, namespace, envd }: Live): Promise<void> {
  await phase('envd', async () => {
    const begin = performance.now();
    // The loopback of a sandbox with a kernel of its own cannot be seen from here.
    const mayAnswer = (): boolean => driver.capabilities.ownKernel || !namespace.refuses(envdPort);
    await sleep(firstPollMs);
    while (!(mayAnswer() && (await envd.isHealthy()))) {
      if (!driver.isAlive(instance)) throw new Error('envd ended before it responded');
      const waitedMs = performance.now() - begin;
      if (waitedMs > bootTimeoutMs) throw new Error(`envd did not respond within ${bootTimeoutMs} ms`);
      await sleep(Math.max(pollMs, waitedMs * pollPart));
    }
  });
}
