import { SoulBoxError } from '@soulbox/base';
import { parseSandboxId } from '@soulbox/contract';
import type { SandboxRecord } from '@soulbox/storage';
import type { Caller } from '../auth/authenticate.ts';
import type { ApiContext } from '../context.ts';
import { shown } from '../http/shown.ts';
import { endGraceMs } from '../limits.ts';

/** Sandboxes that end later than this still count as running. */
export function aliveAfter(context: ApiContext): number {
  return context.clock.now() - endGraceMs;
}

export function sandboxNotFound(id: string): SoulBoxError {
  return new SoulBoxError('sandbox_not_found', `sandbox ${shown(id)} not found`);
}

/** The caller's running sandbox. Another team's, an ended one and a malformed id are all the same: not found. */
export async function getRunning(context: ApiContext, caller: Caller, idText: string): Promise<SandboxRecord> {
  const id = parseSandboxId(idText);
  const record =
    id === undefined ? undefined : await context.records.sandboxes.findRunning(caller.team.id, id, aliveAfter(context));
  if (record === undefined) throw sandboxNotFound(idText);
  return record;
}

/** Runs a call about one sandbox. If the runner does not know it, the row is ended too, so that lists heal. */
export async function withRow<T>(context: ApiContext, record: SandboxRecord, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (thrown) {
    if (!(thrown instanceof SoulBoxError) || thrown.reason !== 'sandbox_not_found') throw thrown;
    await context.records.sandboxes.end(record.id, 'lost', context.clock.now());
    throw sandboxNotFound(record.id);
  }
}
