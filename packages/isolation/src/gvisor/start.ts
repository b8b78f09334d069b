import { chmod, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { completeAll, findProcess, SoulBoxError } from '@soulbox/base';
import type { SandboxInstance, SandboxSpec } from '../driver.ts';
import { initRuns, readBootId } from '../host/init-process.ts';
import { instanceOf } from '../oci/instance-of.ts';
import { diskScripts, makeRunFolders, prepareDisk } from '../oci/prepare.ts';
import { writeRecord } from '../oci/record.ts';
import { placingVolumes } from '../oci/volumes/place-volumes.ts';
import { writeDiskOrigin } from '../root/disk-traffic.ts';
import { cgroupOf, traceName } from '../host/names.ts';
import { diskFolders } from '../root/layout.ts';
import type { IdMaps } from '../root/id-map.ts';
import { openIdMaps } from '../root/id-map.ts';
import { placeRoot } from '../root/place-root.ts';
import type { RootMount } from '../root/root-mounts.ts';
import { hostFolder, rootMounts } from '../root/root-mounts.ts';
import { writeSkeleton } from '../root/skeleton.ts';
import type { Host } from './host.ts';
import type { SandboxLayout } from './layout.ts';
import { layoutOf } from './layout.ts';
import { createOciConfig } from './oci-config.ts';
import { arrivalOf, makeArrivals, placeOf, refuseOutside } from './volumes/places.ts';
import { runRunsc } from './runsc.ts';
import { readRuntimeState, runtimeRoot } from './runtime-state.ts';

const launchScript = fileURLToPath(new URL('launch.sh', import.meta.url));
/** Reading the memory of a large sandbox takes long. */
const launchTimeoutMs = 120_000;

/** Boots envd, without volumes. `destroySandbox` removes the leftovers of a failed or interrupted step. */
export async function startSandbox(host: Host, spec: SandboxSpec, signal: AbortSignal): Promise<SandboxInstance> {
  return await launch(host, { ...spec, volumes: [] }, signal, '', ['run', '-detach']);
}

/** Runs a runsc command that brings the sandbox up. `generation`: of a restore; empty for a start. */
export async function launch(
  host: Host,
  spec: SandboxSpec,
  signal: AbortSignal,
  generation: string,
  command: readonly string[],
): Promise<SandboxInstance> {
  await requireRunsc(host);
  refuseOutside(spec.volumes);
  const layout = layoutOf(host.instance, spec.sandboxId, spec.directory);
  // The intent is written first: whoever finds it knows that host tools may still be running.
  await writeRecord(layout.record, { state: 'starting' });
  await using idMaps = openIdMaps(host.userNamespaces, spec.idBase);
  await writeParts(host, spec, layout);
  await runLaunchScript(host, spec, layout, idMaps, signal, generation, command);
  const instance = await noteLaunched(host, spec.sandboxId, spec.directory);
  if (instance === undefined)
    throw new SoulBoxError('sandbox_start_failed', 'The sandbox ended before it had started.');
  return instance;
}

/**
 * Records the sandbox that launch.sh has brought up, so that it can be found from now on; undefined if it does not run.
 * Can be repeated: if a server dies before this, the next one does it.
 */
export async function noteLaunched(
  host: Host,
  sandboxId: string,
  directory: string,
): Promise<SandboxInstance | undefined> {
  const layout = layoutOf(host.instance, sandboxId, directory);
  const initPid = Number(await readFile(layout.pidFile, 'latin1'));
  const init = { initPid, initStartTicks: findProcess(initPid)?.startTicks ?? -1 };
  if (!initRuns(init)) return undefined;
  await writeDiskOrigin(layout, readRuntimeState(host.instance, sandboxId).goferPid);
  for (const folder of [layout.skeleton, layout.arrivals]) await rm(folder, { recursive: true, force: true });
  await writeRecord(layout.record, { state: 'running', bootId: readBootId(), ...init });
  return instanceOf(sandboxId, directory, init);
}

/** Its absence is the only fault that is named to the caller of an API. */
async function requireRunsc(host: Host): Promise<void> {
  if ((await host.readVersion()) !== '') return;
  const message = 'The isolation "gvisor" needs the program runsc, which this host does not have; see soulbox doctor.';
  throw new SoulBoxError('capability_missing', message);
}

async function writeParts(host: Host, spec: SandboxSpec, layout: SandboxLayout): Promise<void> {
  const config = createOciConfig(spec, layout, cgroupOf(host.instance, spec.sandboxId), host.openFilesMax);
  writeSkeleton(layout.skeleton, spec);
  await completeAll([
    keepTemporaryFilesOnDisk(layout),
    writeFile(layout.config, JSON.stringify(config), { mode: 0o600 }),
    prepareDisk(spec, layout),
    makeFolders(host, layout),
    makeArrivals(layout, spec.volumes),
  ]);
}

async function makeFolders(host: Host, layout: SandboxLayout): Promise<void> {
  await makeRunFolders(host.instance, runtimeRoot(host.instance));
  await mkdir(layout.rootfs, { mode: 0o700 });
}

function mountsOf(host: Host, spec: SandboxSpec, layout: SandboxLayout): readonly RootMount[] {
  const points = { folder: layout.rootfs, rootfs: layout.root };
  const bundle = hostFolder(spec.envdBundle.directory, layout.envdBundle);
  return [...rootMounts(spec, layout.image, points, traceName(host.instance, spec.sandboxId)), bundle];
}

/** gVisor mounts a tmpfs, which is memory, on an empty /tmp (runsc/boot/vfs.go, mountTmp). */
async function keepTemporaryFilesOnDisk(layout: SandboxLayout): Promise<void> {
  const folder = join(layout.skeleton, diskFolders.upper, 'tmp');
  await mkdir(folder);
  await chmod(folder, 0o1777);
  await writeFile(join(folder, '.on-disk'), '');
}

async function runLaunchScript(
  host: Host,
  spec: SandboxSpec,
  layout: SandboxLayout,
  idMaps: IdMaps,
  signal: AbortSignal,
  generation: string,
  command: readonly string[],
): Promise<void> {
  const { image, skeleton, rootfs, pidFile, ranMark, launched, arrivals } = layout;
  const settings = (await host.hidesNetworkSettings()) ? 'hide' : 'show';
  const step = spec.disk === 'new' ? 'make' : 'renew';
  const disk = [diskScripts, step, image, skeleton, rootfs, String(spec.idBase)];
  const script = [launchScript, ...disk, settings, launched, ranMark, generation];
  const places = spec.volumes.map(placeOf).join(' ');
  const placing = placingVolumes(spec.volumes.map((volume) => arrivalOf(layout, volume)));
  await runRunsc(host, spec, [...command, '-pid-file', pidFile, '-bundle', spec.directory, spec.sandboxId], {
    before: ['unshare', '--mount', '--net', '--cgroup', ...placing, 'sh', ...script, arrivals, places],
    descriptors: spec.volumes.map(({ mount }) => mount),
    // The script's pid: its network namespace is new and becomes the sandbox's.
    onLine: async (pid, line) => {
      if (line === 'network') await spec.attachNetwork(`/proc/${pid}/ns/net`);
      else await placeRoot(host, spec, mountsOf(host, spec, layout), { pid, folder: rootfs, idMaps });
    },
    signal,
    timeoutMs: launchTimeoutMs,
  });
}
