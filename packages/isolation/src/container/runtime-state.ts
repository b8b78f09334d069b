import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { runFolder } from '../host/names.ts';

/** crun's `--root`. */
export function runtimeRoot(instance: number): string {
  return join(runFolder(instance), 'crun');
}

/** Lets crun forget a sandbox whose processes have ended. Safe to repeat. */
export async function removeRuntimeState(instance: number, sandboxId: string): Promise<void> {
  await rm(join(runtimeRoot(instance), sandboxId), { recursive: true, force: true });
}

/** Ids of the sandboxes that crun has files of. */
export async function listRuntimeStates(instance: number): Promise<string[]> {
  const names = await readdir(runtimeRoot(instance)).catch(() => []);
  // The hidden ones crun keeps for itself.
  return names.filter((name) => !name.startsWith('.'));
}
