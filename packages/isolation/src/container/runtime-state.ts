import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { runFolder } from '../host/names.ts';

/** crun's `--root`. */
export function runtimeRoot(instance: number): string {
  return join(runFolder(instance), 'crun');
}

/** Removes crun's state of a sandbox whose processes have ended. Can be repeated. */
export async function removeRuntimeState(instance: number, sandboxId: string): Promise<void> {
  await rm(join(runtimeRoot(instance), sandboxId), { recursive: true, force: true });
}

/** Ids of the sandboxes for which crun has files. */
export async function listRuntimeStates(instance: number): Promise<string[]> {
  const names = await readdir(runtimeRoot(instance)).catch(() => []);
  // Hidden files are crun's own.
  return names.filter((name) => !name.startsWith('.'));
}
