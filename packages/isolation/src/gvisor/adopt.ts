import { existsSync } from 'node:fs';
import { findRecord } from '../container/record.ts';
import { instanceOf } from '../container/start.ts';
import type { SandboxInstance } from '../driver.ts';
import { outwaitHostTools, toolsOf } from '../host/host-tool.ts';
import { readBootId } from '../host/init-process.ts';
import { claimImage } from '../root/claim-image.ts';
import { isSandboxAlive } from './alive.ts';
import type { Host } from './host.ts';
import type { SandboxLayout } from './layout.ts';
import { layoutOf } from './layout.ts';
import { noteLaunched } from './start.ts';

/** Reading back the memory of a large sandbox takes its time, about a second for each GiB, and other sandboxes wait. */
const launchPatienceMs = 30_000;

/** The sandbox that an earlier server started, or began to start, if its very kernel runs. */
export async function adoptSandbox(
  host: Host,
  sandboxId: string,
  directory: string,
): Promise<SandboxInstance | undefined> {
  const layout = layoutOf(host.instance, sandboxId, directory);
  await claimImage(layout, sandboxId, directory);
  const record = await findRecord(layout.record);
  if (record?.state === 'starting') return await adoptLaunched(host, layout, sandboxId, directory);
  if (record?.state !== 'running' || record.bootId !== readBootId()) return undefined;
  const { initPid, initStartTicks } = record;
  const instance = instanceOf(sandboxId, directory, initPid, initStartTicks);
  return isSandboxAlive(host, instance) ? instance : undefined;
}

/** runsc cannot be made to stop between the restore and the first step of what it restored, so what it brings up is taken over. */
async function adoptLaunched(
  host: Host,
  { launched }: SandboxLayout,
  sandboxId: string,
  directory: string,
): Promise<SandboxInstance | undefined> {
  if (!(await outwaitHostTools(toolsOf(host, sandboxId), launchPatienceMs)) || !existsSync(launched)) return undefined;
  const instance = await noteLaunched(host, sandboxId, directory);
  return instance !== undefined && isSandboxAlive(host, instance) ? instance : undefined;
}
