import { existsSync } from 'node:fs';
import type { SandboxInstance } from '../driver.ts';
import { outwaitHostTools, toolsOf } from '../host/host-tool.ts';
import { isSandboxAlive } from './alive.ts';
import type { Host } from './host.ts';
import { layoutOf } from './layout.ts';
import { noteLaunched } from './start.ts';

/** Restoring the memory of a large sandbox takes about a second for each GiB, and other sandboxes wait meanwhile. */
const patienceMs = 30_000;

/**
 * runsc cannot be stopped between the restore and the first instruction of the restored processes, so a sandbox that it
 * has brought up is adopted.
 */
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
