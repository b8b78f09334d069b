import { chmod, chown, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CommandError, SoulBoxError } from '@soulbox/base';
import type { SandboxInstance, SandboxSpec } from '../driver.ts';
import { makeDisk } from './disk.ts';
import { writeDiskOrigin } from './disk-traffic.ts';
import type { Host } from './host.ts';
import type { ToolOptions } from './host-tool.ts';
import { runHostTool } from './host-tool.ts';
import type { SandboxLayout } from './layout.ts';
import { cgroupOf, layoutOf, rootsFolder, runFolder, runtimeRoot, traceName } from './layout.ts';
import { mountRoot, unmountAll } from './mounts.ts';
import { createOciConfig } from './oci-config.ts';
import { readBootId, startTicksOf } from './process-identity.ts';
import { writeRecord } from './record.ts';
import { writeSkeleton } from './skeleton.ts';

/** Makes a sandbox step by step; what a failed or interrupted step leaves is for `destroySandbox`. */
export async function startSandbox(host: Host, spec: SandboxSpec): Promise<SandboxInstance> {
  const layout = layoutOf(host.instance, spec.sandboxId, spec.directory);
  const tool = { directory: spec.directory, traceName: traceName(host.instance, spec.sandboxId) };
  // The intent first: whoever finds it knows that host tools may still be at work.
  await writeRecord(layout.record, { state: 'starting' });
  await makeRoot(host, spec, layout, tool);
  const init = await createContainer(host, spec, layout, tool);
  await Promise.all([spec.attachNetwork(`/proc/${init.initPid}/ns/net`), unmountAll(spec.directory, layout, tool)]);
  await runCrun(host, layout, tool, ['start', spec.sandboxId]);
  if (startTicksOf(init.initPid) !== init.initStartTicks) throw diedEarly();
  await writeRecord(layout.record, { state: 'running', bootId: readBootId(), ...init });
  return instanceOf(spec.sandboxId, spec.directory, init.initPid, init.initStartTicks);
}

export function instanceOf(
  sandboxId: string,
  directory: string,
  initPid: number,
  initStartTicks: number,
): SandboxInstance {
  return {
    sandboxId,
    directory,
    initPid,
    initStartTicks,
    address: { kind: 'namespace', path: `/proc/${initPid}/ns/net` },
  };
}

async function makeRoot(host: Host, spec: SandboxSpec, layout: SandboxLayout, tool: ToolOptions): Promise<void> {
  const cgroup = cgroupOf(host.instance, spec.sandboxId);
  const config = createOciConfig(spec, layout, cgroup, host.facts, host.seccomp);
  await Promise.all([
    writeSkeleton(layout.skeleton, spec),
    writeFile(layout.config, JSON.stringify(config), { mode: 0o600 }),
    makeRunFolders(host, spec, layout),
  ]);
  await makeDisk(spec, layout, tool);
  await Promise.all([rm(layout.skeleton, { recursive: true }), mountRoot(spec, layout, tool)]);
  await writeDiskOrigin(layout);
}

async function makeRunFolders(host: Host, spec: SandboxSpec, layout: SandboxLayout): Promise<void> {
  const roots = rootsFolder(host.instance);
  await mkdir(roots, { recursive: true });
  // Not by mkdir's mode, which the server's umask cuts.
  for (const folder of [runFolder(host.instance), roots]) await chmod(folder, 0o711);
  await mkdir(runtimeRoot(host.instance), { recursive: true, mode: 0o700 });
  await mkdir(layout.rootfs, { mode: 0o700 });
  await chown(layout.rootfs, spec.idBase, spec.idBase);
}

/** Up to here init is a process of crun that waits to become envd. */
async function createContainer(
  host: Host,
  spec: SandboxSpec,
  layout: SandboxLayout,
  tool: ToolOptions,
): Promise<{ initPid: number; initStartTicks: number }> {
  const args = ['create', '--bundle', spec.directory, '--pid-file', layout.pidFile, spec.sandboxId];
  await runCrun(host, layout, tool, args);
  const initPid = Number(await readFile(layout.pidFile, 'latin1'));
  const initStartTicks = startTicksOf(initPid);
  if (initStartTicks === undefined) throw diedEarly();
  return { initPid, initStartTicks };
}

function diedEarly(): SoulBoxError {
  return new SoulBoxError('sandbox_start_failed', 'The first process of the sandbox ended before it became envd.');
}

async function runCrun(host: Host, layout: SandboxLayout, tool: ToolOptions, args: readonly string[]): Promise<void> {
  const global = ['--root', runtimeRoot(host.instance), '--cgroup-manager', 'cgroupfs', '--log', layout.runtimeLog];
  try {
    await runHostTool('crun', [...global, ...args], { ...tool, silent: true });
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    const log = await readFile(layout.runtimeLog, 'utf8').catch(() => '');
    throw new CommandError(error.argv, error.exitCode, log, error);
  }
}

/** Where crun keeps what it knows of a container. */
export function runtimeStateOf(host: Host, sandboxId: string): string {
  return join(runtimeRoot(host.instance), sandboxId);
}
