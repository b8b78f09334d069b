import { existsSync } from 'node:fs';
import type { SandboxInstance } from '../driver.ts';
import { outwaitHostTools, toolsOf } from '../host/host-tool.ts';
import { isSandboxAlive } from './alive.ts';
import type { Host } from './host.ts';
import { layoutOf } from './layout.ts';
import { noteLaunched } from './start.ts';

/** Restoring the memory of a large sandbox takes about a second for each GiB, and other sandboxes wait. */
const patienceMs = 30_000;

/** runsc cannot be made to stop between the restore and the first step of what it restored, so what it brings up is taken over. */
export async function adoptStarting(
  host: Host,
  sandboxId: string,
  directory: string,
): Promise<SandboxInstance | undefined> {
  const { launched } = layoutOf(host.instance, sandboxId, directory);
  if (!(await outwaitHostTools(toolsOf(host, sandboxId), patienceMs)) || !existsSync(launched)) return undefined;
  const instance = await noteLaunched(host, sandboxId, directory);
  return instance !== undefined && isSandboxAlive(host, instance) ? instance : undefined;
}
