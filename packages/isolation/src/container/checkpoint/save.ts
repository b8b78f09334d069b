import { existsSync } from 'node:fs';
import { mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { SoulBoxError } from '@soulbox/base';
import type { SandboxInstance } from '../../driver.ts';
import type { ToolGroup } from '../../host/host-tool.ts';
import { endHostTools, outwaitHostTools, toolsOf } from '../../host/host-tool.ts';
import { findDiskDevice } from '../../root/disk-traffic.ts';
import { cgroupOf } from '../../host/names.ts';
import { listPids } from '../../cgroup/tree.ts';
import type { Host } from '../host.ts';
import type { SandboxLayout } from '../layout.ts';
import { layoutOf } from '../layout.ts';
import { findDying } from '../dying-programs.ts';
import { waitForPager } from '../pager/pagers.ts';
import { findRecord } from '../../oci/record.ts';
import { readComplaint } from './complaint.ts';
import type { Criu } from '../criu.ts';
import { asNamespaceOwner, criuCommand } from '../criu.ts';
import { keysOfMounts } from './external-mounts.ts';
import { leaveLargeMappingsUnreserved } from './large-mappings.ts';
import { letStopLater } from './stopped-programs.ts';

const dumpScript = fileURLToPath(new URL('dump.sh', import.meta.url));
/** 2 GiB a second are usual; this is enough for a slow disk under a large sandbox. */
const dumpTimeoutMs = 600_000;
/** How long CRIU may continue a save that nobody needs any more. */
const patienceMs = 10_000;
/** For memory that a resume has not loaded yet; about a second for each GiB is usual. */
const loadTimeoutMs = 120_000;
/** Files that CRIU leaves among the images and that no restore needs. */
const logName = 'dump.log';
const leftovers = [logName, 'stats-dump'];

/**
 * Saves a frozen sandbox into `directory`. The sandbox stays frozen and intact, even if CRIU fails: when CRIU ends, it
 * removes the code that it injected into the processes. Throws `checkpoint_failed`.
 */
export async function checkpointSandbox(
  host: Host,
  criu: Criu,
  instance: SandboxInstance,
  directory: string,
  signal: AbortSignal,
): Promise<void> {
  const layout = layoutOf(host.instance, instance.sandboxId, instance.directory);
  const tools = toolsOf(host, instance.sandboxId);
  const record = await findRecord(layout.record);
  if (record?.state !== 'running' || record.namespaceOwner === undefined)
    throw new SoulBoxError('checkpoint_failed', 'The sandbox is not running.');
  await waitForMemory(layout, signal);
  await outwaitSave(host, layout, instance.sandboxId);
  const group = cgroupOf(host.instance, instance.sandboxId);
  await refuseKilled(await listPids(host.cgroups.freezerOf(group)));
  await mkdir(layout.criu, { recursive: true });
  await letStopLater(host.cgroups, group);
  try {
    await dump(host, criu, instance, layout, record.namespaceOwner, directory, signal);
    await leaveLargeMappingsUnreserved(directory);
  } catch (error) {
    await (signal.aborted ? endHostTools(tools) : outwaitOrEnd(tools));
    signal.throwIfAborted();
    throw await failureOf(error, join(directory, logName));
  } finally {
    await rm(layout.criu, { recursive: true, force: true });
  }
  for (const name of leftovers) await rm(join(directory, name), { force: true });
}

/** CRIU would save it, and the restore would fail. */
async function refuseKilled(pids: readonly number[]): Promise<void> {
  if ((await findDying(pids)) !== 'killed') return;
  throw new SoulBoxError('checkpoint_failed', 'The sandbox could not be saved: a program is being killed. Retry.');
}

/**
 * Waits for a save that a dead server began. Nobody needs its result any more. But while CRIU has code of its own in a
 * process, the end of CRIU can be the end of that process. Must be called before an adopted sandbox continues.
 */
export async function outwaitSave(host: Host, layout: SandboxLayout, sandboxId: string): Promise<void> {
  if (!existsSync(layout.criu)) return;
  await outwaitOrEnd(toolsOf(host, sandboxId));
  await rm(layout.criu, { recursive: true, force: true });
}

async function outwaitOrEnd(tools: ToolGroup): Promise<void> {
  if (!(await outwaitHostTools(tools, patienceMs))) await endHostTools(tools);
}

/** CRIU would save memory that is still missing as zeros. The pager also fills the memory of a frozen sandbox. */
async function waitForMemory(layout: SandboxLayout, signal: AbortSignal): Promise<void> {
  const state = await waitForPager(layout.restore, loadTimeoutMs, signal);
  if (state === 'loading')
    throw new SoulBoxError(
      'checkpoint_failed',
      'The sandbox could not be saved: its memory is still being restored. Retry.',
    );
  if (state !== 'none' && state !== 'complete')
    throw new SoulBoxError('checkpoint_failed', 'The sandbox is not running: its memory could not be restored.');
}

async function dump(
  host: Host,
  criu: Criu,
  instance: SandboxInstance,
  layout: SandboxLayout,
  namespaceOwner: number,
  directory: string,
  signal: AbortSignal,
): Promise<void> {
  const { sandboxId, initPid } = instance;
  const keys = keysOfMounts(await readFile(`/proc/${initPid}/mountinfo`, 'utf8'), findDiskDevice(layout) ?? '');
  const freezer = host.cgroups.freezerOf(cgroupOf(host.instance, sandboxId));
  // Without --link-remap. That option gives an open file that lost its name, but not its last one, another name. With
  // --leave-running CRIU removes the new name again, and the restore does not find it. Without the option such a file
  // fails the dump.
  const options = [
    ...['-t', String(initPid), '-D', '/run/images', '-o', logName, '--leave-running'],
    ...['--freeze-cgroup', freezer, '--network-lock', 'skip', '--skip-in-flight'],
  ];
  const command = criuCommand(criu, 'dump', namespaceOwner === 0 ? options : [...options, '--unprivileged'], keys);
  // The files belong to root of the host, whichever user writes them.
  const idMap = namespaceOwner === 0 ? '' : `b:0:${namespaceOwner}:1`;
  const parts = [String(initPid), directory, idMap, criu.libraryDirectory, criu.program];
  const whoDumps = namespaceOwner === 0 ? [] : asNamespaceOwner(namespaceOwner);
  await host.criuShells.run(dumpScript, [...parts, ...whoDumps, ...command], {
    tools: toolsOf(host, sandboxId),
    timeoutMs: dumpTimeoutMs,
    signal,
  });
}

async function failureOf(error: unknown, logFile: string): Promise<SoulBoxError> {
  const { obstacle, log } = await readComplaint(logFile);
  const why = obstacle === undefined ? 'the log of the server says why' : obstacle;
  return new SoulBoxError('checkpoint_failed', `The sandbox could not be saved: ${why}.`, {
    cause: new Error(log, { cause: error }),
  });
}
