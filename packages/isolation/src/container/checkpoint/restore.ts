import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { completeAll, findProcess, SoulBoxError } from '@soulbox/base';
import type { SandboxInstance, SandboxSpec, SavedMemory } from '../../driver.ts';
import { initRuns, readBootId } from '../../host/init-process.ts';
import type { ToolOptions } from '../../host/host-tool.ts';
import { toolsOf } from '../../host/host-tool.ts';
import { openIdMaps } from '../../root/id-map.ts';
import { placeRoot } from '../../root/place-root.ts';
import { writeDiskOrigin } from '../../root/disk-traffic.ts';
import { cgroupOf } from '../../host/names.ts';
import { hasRunAgain } from '../../root/ran-again.ts';
import { writeSkeleton } from '../../root/skeleton.ts';
import type { Host } from '../host.ts';
import type { SandboxLayout } from '../layout.ts';
import { layoutOf } from '../layout.ts';
import { groupLimits } from '../../oci/limits.ts';
import { envdNice } from '../oci-config.ts';
import { prepareEagerBlocks } from '../pager/eager-blocks.ts';
import { waitForPager } from '../pager/pagers.ts';
import { instanceOf } from '../../oci/instance-of.ts';
import { diskScripts, makeRunFolders, prepareDisk } from '../../oci/prepare.ts';
import { writeRecord } from '../../oci/record.ts';
import { runtimeRoot } from '../runtime-state.ts';
import { readComplaint } from './complaint.ts';
import type { Criu } from '../criu.ts';
import { criuCommand, leaveRootHalf } from '../criu.ts';
import { sourcesOfMounts } from './external-mounts.ts';
import { favorInit } from './favor-init.ts';
import { holdStill } from './hold-still.ts';
import { setNetworkSettings } from './network-settings.ts';
import { prepareRestoreMounts, restoreFolder } from './restore-mounts.ts';
import { makeVolumeFolders, placeOfVolume, refuseOtherVolumes } from './restore-volumes.ts';

const restoreScript = fileURLToPath(new URL('restore.sh', import.meta.url));
const networkGate = fileURLToPath(new URL('network-gate.sh', import.meta.url));
const restoreTimeoutMs = 600_000;
/** A pager that ends the restored processes reports the reason a moment later. */
const verdictTimeoutMs = 300;
const restoreLog = 'restore.log';

/**
 * Restores a saved memory step by step. `destroySandbox` removes the leftovers of a failed or interrupted step.
 * Afterwards the sandbox is unknown to crun, and its user namespace belongs to root.
 */
export async function restoreSandbox(
  host: Host,
  criu: Criu,
  spec: SandboxSpec,
  memory: SavedMemory,
  signal: AbortSignal,
): Promise<SandboxInstance> {
  const layout = layoutOf(host.instance, spec.sandboxId, spec.directory);
  // The intent is written first: whoever finds it knows that host tools may still be running.
  await writeRecord(layout.record, { state: 'starting' });
  const isLazy = isLate(memory);
  for (const folder of [layout.criu, layout.restore]) await mkdir(folder, { mode: 0o700 });
  await using idMaps = openIdMaps(host.userNamespaces, spec.idBase);
  const lazyParts = isLazy
    ? [prepareEagerBlocks(memory.directory, memory.digests), openPager(host, spec, layout, memory)]
    : [];
  const mounts = prepareRestoreMounts(host, spec, layout, memory.directory);
  await completeAll([writeParts(host, spec, layout, memory), mounts.then(() => undefined), ...lazyParts]);
  const place = async (pid: number): Promise<void> => {
    leaveRootHalf(pid);
    await placeRoot(host, spec, await mounts, { pid, folder: restoreFolder, idMaps });
  };
  const instance = await bringBack(host, criu, spec, layout, memory, place, signal);
  await rm(layout.criu, { recursive: true, force: true });
  if (isLazy) host.pagers.fill();
  return instance;
}

/** Whether parts of the memory are loaded when they are touched. */
function isLate({ digests }: SavedMemory): boolean {
  return Object.keys(digests.parts).length > 0;
}

async function openPager(host: Host, spec: SandboxSpec, layout: SandboxLayout, memory: SavedMemory): Promise<void> {
  await host.pagers.open({
    imageDirectory: memory.directory,
    workDirectory: layout.restore,
    digests: memory.digests,
    killDirectories: host.cgroups.directoriesOf(cgroupOf(host.instance, spec.sandboxId)),
  });
}

async function writeParts(host: Host, spec: SandboxSpec, layout: SandboxLayout, memory: SavedMemory): Promise<void> {
  const group = cgroupOf(host.instance, spec.sandboxId);
  if (spec.disk === 'new') writeSkeleton(layout.skeleton, spec);
  await completeAll([
    refuseOtherVolumes(memory.directory, spec.volumes),
    makeVolumeFolders(layout, spec.volumes),
    prepareDisk(spec, layout),
    makeRunFolders(host.instance, runtimeRoot(host.instance)),
    host.cgroups.create(group, groupLimits(spec.limits)),
  ]);
}

async function bringBack(
  host: Host,
  criu: Criu,
  spec: SandboxSpec,
  layout: SandboxLayout,
  memory: SavedMemory,
  place: (pid: number) => Promise<void>,
  signal: AbortSignal,
): Promise<SandboxInstance> {
  const { image, skeleton } = layout;
  const step = spec.disk === 'new' ? 'make' : 'keep';
  const groups = host.cgroups.directoriesOf(cgroupOf(host.instance, spec.sandboxId));
  const command = criuCommand(criu, 'restore', restoreOptions(layout, isLate(memory)), sourcesOfMounts(spec.volumes));
  const parts = [diskScripts, step, image, skeleton, spec.hostname, spec.generation, layout.ranMark];
  const lists = [...groups, '--', ...command];
  const restored = Promise.withResolvers<SandboxInstance>();
  const tools = toolsOf(host, spec.sandboxId);
  await using held = new AsyncDisposableStack();
  const tool = host.criuShells.run(restoreScript, [...parts, ...lists], {
    tools,
    needs:
      spec.volumes.length === 0
        ? undefined
        : spec.volumes.map(({ index, mount }) => ({ folder: placeOfVolume(layout, index), mount })),
    timeoutMs: restoreTimeoutMs,
    signal,
    onLine: async (pid, line) => {
      const [stage, initPid] = line.split(' ');
      if (stage === 'mount') await place(pid);
      else if (stage === 'setup-namespaces') await attachNetwork(spec, Number(initPid), { tools, signal });
      else if (stage === 'post-restore') restored.resolve(await noteRestored(spec, layout, Number(initPid)));
      else held.use(await holdStill(host, spec.sandboxId));
    },
  });
  return await whatRuns(host, spec, layout, tool, restored.promise);
}

/**
 * Keeps a running sandbox even if a tool was killed after it had let the sandbox run: the sandbox has written to the
 * disk.
 */
async function whatRuns(
  host: Host,
  spec: SandboxSpec,
  layout: SandboxLayout,
  tool: Promise<void>,
  restored: Promise<SandboxInstance>,
): Promise<SandboxInstance> {
  try {
    await tool;
  } catch (err) {
    if (!(await hasRunAgain(layout, spec.generation)) || !initRuns(await restored)) throw err;
    host.logger.warn({ sandboxId: spec.sandboxId, err }, 'sandbox restored although a tool failed');
  }
  return await restored;
}

/**
 * Everything is restored and still stopped: from here on a new server can adopt it. After this no step of a restore may
 * fail, because the running processes have written to the disk.
 */
async function noteRestored(spec: SandboxSpec, layout: SandboxLayout, initPid: number): Promise<SandboxInstance> {
  const initStartTicks = findProcess(initPid)?.startTicks;
  if (initStartTicks === undefined)
    throw new SoulBoxError('sandbox_resume_failed', 'The sandbox ended during the resume.');
  favorInit(initPid, envdNice);
  await completeAll([writeDiskOrigin(layout, initPid), rm(layout.skeleton, { recursive: true, force: true })]);
  const init = { initPid, initStartTicks };
  await writeRecord(layout.record, { state: 'running', bootId: readBootId(), ...init, namespaceOwner: 0 });
  return instanceOf(spec.sandboxId, spec.directory, init);
}

function restoreOptions(layout: SandboxLayout, isLazy: boolean): readonly string[] {
  return [
    ...['-D', '/run/images', '-W', layout.restore, '-o', restoreLog, '--restore-detached'],
    ...['--root', '/run/root', '--action-script', networkGate],
    ...(isLazy ? ['--lazy-pages'] : []),
  ];
}

async function attachNetwork(
  spec: SandboxSpec,
  initPid: number,
  options: Pick<ToolOptions, 'tools' | 'signal'>,
): Promise<void> {
  await setNetworkSettings(spec, initPid, options);
  await spec.attachNetwork(`/proc/${initPid}/ns/net`);
}

/** The error of a failed restore, with CRIU's own words in its cause. It must be read before the folder is removed. */
export async function restoreFailure(
  host: Host,
  spec: SandboxSpec,
  error: unknown,
  signal: AbortSignal,
): Promise<SoulBoxError> {
  const { restore } = layoutOf(host.instance, spec.sandboxId, spec.directory);
  if ((await waitForPager(restore, signal.aborted ? 0 : verdictTimeoutMs)) === 'damaged')
    return new SoulBoxError('state_damaged', 'The saved memory was altered after it was saved.', { cause: error });
  if (error instanceof SoulBoxError) return error;
  const { log } = await readComplaint(join(restore, restoreLog));
  return new SoulBoxError('sandbox_resume_failed', `Sandbox "${spec.sandboxId}" could not be resumed.`, {
    cause: new Error(log, { cause: error }),
  });
}
