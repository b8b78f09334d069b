import { SoulBoxError } from '@soulbox/base';
import type { Process } from '@soulbox/contract/process-v1';
import { faultFrom } from './reach-processes.ts';
import type { ReachedProcesses } from './reach-processes.ts';

export async function listProcesses(sandbox: ReachedProcesses): Promise<readonly Process[]> {
  try {
    return (await sandbox.client.list({})).processes;
  } catch (thrown) {
    throw faultFrom(thrown);
  }
}

/**
 * The process with this id, pid or tag. Several processes can have a pid, one after the other, and a tag: the newest one is
 * meant.
 */
export async function getProcess(sandbox: ReachedProcesses, name: string): Promise<Process> {
  const all = await listProcesses(sandbox);
  const found =
    all.find(({ id }) => id === name) ??
    all.findLast(({ pid }) => String(pid) === name) ??
    all.findLast(({ tag }) => tag === name);
  if (found !== undefined) return found;
  throw new SoulBoxError(
    'process_not_found',
    `No process of ${sandbox.sandboxId} has the pid, id or tag ${JSON.stringify(name)}. "soulbox sandbox processes ${sandbox.sandboxId}" lists them.`,
  );
}
