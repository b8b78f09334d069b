import { chown, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { CommandError, findProcess, SoulBoxError } from '@soulbox/base';
import type { SandboxInstance, SandboxSpec } from '../driver.ts';
import { growthBlocks } from '../root/disk.ts';
import { writeDiskOrigin } from '../root/disk-traffic.ts';
import type { Host } from './host.ts';
import { initRuns, readBootId } from '../host/init-process.ts';
import { runHostTool, toolsOf } from '../host/host-tool.ts';
import type { SandboxLayout } from './layout.ts';
import { cgroupOf, traceName } from '../host/names.ts';
import { layoutOf } from './layout.ts';
import { runtimeRoot } from './runtime-state.ts';
import { bundleTable, rootTable, writeMountTable } from '../root/mount-table.ts';
import { createOciConfig } from './oci-config.ts';
import { instanceOf } from '../oci/instance-of.ts';
import { completeAll, diskScripts, makeRunFolders, prepareDisk } from '../oci/prepare.ts';
import { writeRecord } from '../oci/record.ts';
import { writeSkeleton } from '../root/skeleton.ts';
import { unownableNull } from './null-device.ts';

const initWatchMs = 20;
const createScript = fileURLToPath(new URL('create.sh', import.meta.url));

type Init = Pick<SandboxInstance, 'initPid' | 'initStartTicks'>;

/** Creates a sandbox step by step; `destroySandbox` removes the leftovers of a failed or interrupted step. */
export async function startSandbox(host: Host, spec: SandboxSpec, signal: AbortSignal): Promise<SandboxInstance> {
  const layout = layoutOf(host.instance, spec.sandboxId, spec.directory);
  // The intent is written first: whoever finds it knows that host tools may still be running.
  await writeRecord(layout.record, { state: 'starting' });
  await writeParts(host, spec, layout);
  const init = await createContainer(host, spec, layout, signal);
  await spec.attachNetwork(`/proc/${init.initPid}/ns/net`);
  await becomeEnvd(host, spec, init, signal);
  await writeRecord(layout.record, {
    state: 'running',
    bootId: readBootId(),
    ...init,
    namespaceOwner: spec.idBase,
  });
  return instanceOf(spec.sandboxId, spec.directory, init);
}

async function writeParts(host: Host, spec: SandboxSpec, layout: SandboxLayout): Promise<void> {
  const cgroup = cgroupOf(host.instance, spec.sandboxId);
  const config = createOciConfig(spec, layout, cgroup, host.facts, host.seccomp);
  writeSkeleton(layout.skeleton, spec);
  await completeAll([
    writeFile(layout.config, JSON.stringify(config), { mode: 0o600 }),
    prepareDisk(spec, layout),
    prepareMounts(host, spec, layout),
    makeFolders(host, spec, layout),
  ]);
}

async function prepareMounts(host: Host, spec: SandboxSpec, layout: SandboxLayout): Promise<void> {
  const points = { folder: spec.directory, rootfs: layout.rootfs };
  const name = traceName(host.instance, spec.sandboxId);
  await writeMountTable(layout.mountTable, [
    ...rootTable(spec, layout.image, points, name),
    ...bundleTable(spec, points.folder, layout.envdBundle, name),
    unownableNull,
  ]);
}

async function makeFolders(host: Host, spec: SandboxSpec, layout: SandboxLayout): Promise<void> {
  await makeRunFolders(host.instance, runtimeRoot(host.instance));
  await mkdir(layout.rootfs, { mode: 0o700 });
  await chown(layout.rootfs, spec.idBase, spec.idBase);
}

/** Afterwards init is a crun process that waits to become envd. */
async function createContainer(
  host: Host,
  spec: SandboxSpec,
  layout: SandboxLayout,
  signal: AbortSignal,
): Promise<Init> {
  const args = ['create', '--bundle', spec.directory, '--pid-file', layout.pidFile, spec.sandboxId];
  const { image, skeleton, mountTable, disk, rootfs } = layout;
  const parts = [diskScripts, diskStep(spec), image, skeleton, mountTable, disk, rootfs, String(spec.idBase)];
  const script = ['unshare', '--mount', 'sh', createScript, ...parts, growthBlocks(spec)];
  await runStep(host, spec, signal, script, args);
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

/** Lets init run envd's command. crun would wait for ever for an init that died, so init is watched meanwhile. */
async function becomeEnvd(host: Host, spec: SandboxSpec, init: Init, signal: AbortSignal): Promise<void> {
  const died = new AbortController();
  const runs = (): boolean => initRuns(init);
  const watch = setInterval(() => runs() || died.abort(), initWatchMs);
  try {
    await runStep(host, spec, AbortSignal.any([signal, died.signal]), [], ['start', spec.sandboxId]);
  } catch (error) {
    if (runs()) throw error;
    throw diedEarly(error);
  } finally {
    clearInterval(watch);
  }
  if (!runs()) throw diedEarly(undefined);
}

function diedEarly(cause: unknown): SoulBoxError {
  return new SoulBoxError('sandbox_start_failed', 'The first process of the sandbox ended before envd started.', {
    cause,
  });
}

/** Runs crun, by itself or as the last arguments of `before`. crun's own messages are in its log. */
async function runStep(
  host: Host,
  spec: SandboxSpec,
  signal: AbortSignal,
  before: readonly string[],
  crunArgs: readonly string[],
): Promise<void> {
  const { runtimeLog } = layoutOf(host.instance, spec.sandboxId, spec.directory);
  const crun = ['crun', '--root', runtimeRoot(host.instance), '--cgroup-manager', 'cgroupfs', '--log', runtimeLog];
  const tool = { directory: spec.directory, tools: toolsOf(host, spec.sandboxId), signal };
  const [command = '', ...args] = [...before, ...crun, ...crunArgs];
  try {
    await runHostTool(command, args, tool);
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    const log = await readFile(runtimeLog, 'utf8').catch(() => '');
    throw new CommandError(error.argv, error.exitCode, error.stderr + log, error);
  }
}
