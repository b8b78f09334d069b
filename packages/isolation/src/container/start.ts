import { chown, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { CommandError, completeAll, findProcess, SoulBoxError } from '@soulbox/base';
import type { SandboxInstance, SandboxSpec } from '../driver.ts';
import { writeDiskOrigin } from '../root/disk-traffic.ts';
import type { Host } from './host.ts';
import { initRuns, readBootId } from '../host/init-process.ts';
import { toolsOf } from '../host/host-tool.ts';
import type { SandboxLayout } from './layout.ts';
import { cgroupOf, traceName } from '../host/names.ts';
import { layoutOf } from './layout.ts';
import { runtimeRoot } from './runtime-state.ts';
import type { RootMount } from '../root/root-mounts.ts';
import { bundleMounts, rootMounts } from '../root/root-mounts.ts';
import { placeRoot } from '../root/place-root.ts';
import type { IdMaps } from '../root/id-map.ts';
import { openIdMaps } from '../root/id-map.ts';
import { createOciConfig } from './oci-config.ts';
import { instanceOf } from '../oci/instance-of.ts';
import { diskScripts, makeRunFolders, prepareDisk } from '../oci/prepare.ts';
import { writeRecord } from '../oci/record.ts';
import { writeSkeleton } from '../root/skeleton.ts';
import { unownableNull } from './null-device.ts';

const initWatchMs = 20;
const createScript = fileURLToPath(new URL('create.sh', import.meta.url));

type Init = Pick<SandboxInstance, 'initPid' | 'initStartTicks'>;

/** Creates a sandbox step by step; `destroySandbox` removes the leftovers of a failed or interrupted step. */
export async function startSandbox(host: Host, spec: SandboxSpec, signal: AbortSignal): Promise<SandboxInstance> {
  const layout = layoutOf(host.instance, spec.sandboxId, spec.directory);
  // The sandbox's own id creates the user namespace, not root. The kernel charges inotify instances, queued signals and
  // message queues also to the creator, so with one creator for all, one sandbox could use up the share of all others.
  await using idMaps = openIdMaps(host.userNamespaces, spec.idBase, spec.idBase);
  // The intent is written first: whoever finds it knows that host tools may still be running.
  await writeRecord(layout.record, { state: 'starting' });
  await writeParts(host, spec, layout, idMaps);
  const init = await runCreateScript(host, spec, layout, idMaps, signal);
  await writeRecord(layout.record, {
    state: 'running',
    bootId: readBootId(),
    ...init,
    namespaceOwner: spec.idBase,
  });
  return instanceOf(spec.sandboxId, spec.directory, init);
}

async function writeParts(host: Host, spec: SandboxSpec, layout: SandboxLayout, idMaps: IdMaps): Promise<void> {
  writeSkeleton(layout.skeleton, spec);
  await completeAll([
    writeConfig(host, spec, layout, idMaps),
    prepareDisk(spec, layout),
    makeFolders(host, spec, layout),
  ]);
}

async function writeConfig(host: Host, spec: SandboxSpec, layout: SandboxLayout, idMaps: IdMaps): Promise<void> {
  const { facts, seccomp } = host;
  const cgroupsPath = cgroupOf(host.instance, spec.sandboxId);
  // crun finds the descriptor in this process.
  const userNamespace = `/proc/${process.pid}/fd/${await idMaps.own}`;
  const config = createOciConfig(spec, layout, { cgroupsPath, userNamespace, facts, seccomp });
  await writeFile(layout.config, JSON.stringify(config), { mode: 0o600 });
}

function mountsOf(host: Host, spec: SandboxSpec, layout: SandboxLayout): readonly RootMount[] {
  const points = { folder: spec.directory, rootfs: layout.rootfs };
  const name = traceName(host.instance, spec.sandboxId);
  return [
    ...rootMounts(spec, layout.image, points, name),
    ...bundleMounts(spec, points.folder, layout.envdBundle, name),
    unownableNull,
  ];
}

async function makeFolders(host: Host, spec: SandboxSpec, layout: SandboxLayout): Promise<void> {
  await makeRunFolders(host.instance, runtimeRoot(host.instance));
  await mkdir(layout.rootfs, { mode: 0o700 });
  await chown(layout.rootfs, spec.idBase, spec.idBase);
}

/** crun's own messages are in its log. */
async function runCreateScript(
  host: Host,
  spec: SandboxSpec,
  layout: SandboxLayout,
  idMaps: IdMaps,
  signal: AbortSignal,
): Promise<Init> {
  const { image, skeleton, disk, rootfs, pidFile, runtimeLog } = layout;
  const parts = [diskScripts, diskStep(spec), image, skeleton, disk, rootfs, String(spec.idBase)];
  const crun = ['crun', '--root', runtimeRoot(host.instance), '--cgroup-manager', 'cgroupfs', '--log', runtimeLog];
  const died = new AbortController();
  using watch = new DisposableStack();
  let created: Init | undefined;
  const stages: Record<string, (pid: number) => Promise<void>> = {
    mount: async (pid) => {
      await placeRoot(host, spec, mountsOf(host, spec, layout), { pid, folder: spec.directory, idMaps });
    },
    // Init is a crun process that waits to become envd.
    created: async () => {
      const init = await readInit(layout);
      created = init;
      await spec.attachNetwork(`/proc/${init.initPid}/ns/net`);
      // crun would wait for ever for an init that died.
      const timer = setInterval(() => initRuns(init) || died.abort(), initWatchMs);
      watch.defer(() => clearInterval(timer));
    },
  };
  try {
    await host.createShells.run(createScript, [...parts, pidFile, spec.directory, spec.sandboxId, ...crun], {
      tools: toolsOf(host, spec.sandboxId),
      signal: AbortSignal.any([signal, died.signal]),
      onLine: async (pid, line) => await stages[line]?.(pid),
    });
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    if (created !== undefined && !initRuns(created)) throw diedEarly(error);
    const log = await readFile(runtimeLog, 'utf8').catch(() => '');
    throw new CommandError(error.argv, error.exitCode, error.stderr + log, error);
  }
  if (created === undefined || !initRuns(created)) throw diedEarly(undefined);
  return created;
}

async function readInit(layout: SandboxLayout): Promise<Init> {
  const initPid = Number(await readFile(layout.pidFile, 'latin1'));
  await completeAll([writeDiskOrigin(layout, initPid), rm(layout.skeleton, { recursive: true })]);
  const initStartTicks = findProcess(initPid)?.startTicks;
  if (initStartTicks === undefined) throw diedEarly(undefined);
  return { initPid, initStartTicks };
}

/** A disk over layers contains their /dev/shm; a used disk contains everything of the last sandbox. */
function diskStep(spec: SandboxSpec): 'make' | 'make-over-layers' | 'renew' {
  if (spec.disk === 'kept') return 'renew';
  return spec.layers.length > 0 ? 'make-over-layers' : 'make';
}

function diedEarly(cause: unknown): SoulBoxError {
  return new SoulBoxError('sandbox_start_failed', 'The first process of the sandbox ended before envd started.', {
    cause,
  });
}
