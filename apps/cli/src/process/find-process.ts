import { SoulBoxError } from '@soulbox/base';
import type { Process } from '@soulbox/contract/process-v1';
import { faultFrom } from './reach-processes.ts';
import type { ReachedProcesses } from './reach-processes.ts';

type Listing = Pick<ReachedProcesses, 'sandboxId'> & { readonly client: Pick<ReachedProcesses['client'], 'list'> };

/** As envd accepts them. Ids become a part of commands that people copy. */
const idPattern = /^[\w-]{1,64}$/;
/** The last moment of a Date. */
const maxTimeMs = 8.64e15;

/** Without what no real envd has, because the envd of a sandbox is hostile. */
export async function listProcesses(sandbox: Listing): Promise<readonly Process[]> {
  try {
    const { processes } = await sandbox.client.list({});
    return processes.filter(({ id, startedAtMs }) => idPattern.test(id) && Math.abs(Number(startedAtMs)) <= maxTimeMs);
  } catch (thrown) {
    throw faultFrom(thrown);
  }
}

/**
 * The process with this id, pid or tag. Several processes can have a pid, one after the other, and a tag: the newest one is
 * meant.
 */
export async function getProcess(sandbox: Listing, name: string): Promise<Process> {
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
