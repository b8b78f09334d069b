import { setTimeout as sleep } from 'node:timers/promises';
import { SoulBoxError } from '@soulbox/base';
import { parseSandboxId } from '@soulbox/contract';
import { functionMetadataKey } from '@soulbox/contract/functions';
import type { SandboxRecord } from '@soulbox/storage';
import type { Caller } from '../auth/caller.ts';
import type { ApiContext } from '../context.ts';
import { timeToWire } from '../http/schemas.ts';
import { quoteForError } from '../http/quote-for-error.ts';
import { endGraceMs, lostAfterMs } from '../limits.ts';
import { endMissing } from './end-missing.ts';
import { maySeeTemplate } from './permitted-templates.ts';

/** Sandboxes with an end after this time still count as running. */
export function aliveAfter(context: ApiContext): number {
  return context.clock.now() - endGraceMs;
}

/** The error for a sandbox that this team never had, or whose row was purged. */
export function sandboxNotFound(id: string): SoulBoxError {
  return new SoulBoxError('sandbox_not_found', `Sandbox ${quoteForError(id)} was not found.`);
}

/** The same error for the owner, with the cause and time of the end. */
function sandboxEnded({ id, cause, stateSince }: Pick<SandboxRecord, 'id' | 'cause' | 'stateSince'>): SoulBoxError {
  const message = `Sandbox ${quoteForError(id)} was not found. It ended at ${timeToWire(stateSince)} (${cause}).`;
  return new SoulBoxError('sandbox_not_found', message);
}

/**
 * A sandbox past its deadline has ended even if the runner has not reported it yet, unless it pauses at the deadline.
 */
function isOverdue({ state, endAt, lifecycle }: SandboxRecord, context: ApiContext): boolean {
  return state === 'running' && lifecycle.onTimeout === 'kill' && endAt <= aliveAfter(context);
}

/** Whether it serves a function. Its files and memory have the function's secrets. */
export function isOfFunction({ metadata }: Pick<SandboxRecord, 'metadata'>): boolean {
  return metadata[functionMetadataKey] !== undefined;
}

/**
 * Whether the caller may know of a sandbox of their team. A key that is restricted to templates has nothing to do with
 * functions, so it sees no sandbox of one, of whatever template that is. Lists apply the same rule (`hiddenMetadata`).
 */
async function maySeeSandbox(context: ApiContext, caller: Caller, record: SandboxRecord): Promise<boolean> {
  if (hiddenMetadata(caller) !== undefined && isOfFunction(record)) return false;
  return await maySeeTemplate(context, caller, record.templateId);
}

/** The member of the metadata of sandboxes that the caller may not see. Undefined: there are none. */
export function hiddenMetadata({ templates }: Pick<Caller, 'templates'>): string | undefined {
  return templates.length === 0 ? undefined : functionMetadataKey;
}

/**
 * The caller's sandbox in any state. Undefined for an unknown or malformed id, for another team's sandbox, and for one
 * that the key may not see.
 */
export async function findOwn(context: ApiContext, caller: Caller, idText: string): Promise<SandboxRecord | undefined> {
  const id = parseSandboxId(idText);
  const record = id === undefined ? undefined : await context.records.sandboxes.findOwn(caller.team.id, id);
  return record !== undefined && (await maySeeSandbox(context, caller, record)) ? record : undefined;
}

/** Whether it is running or paused. */
export function isLive(record: SandboxRecord, context: ApiContext): boolean {
  return record.state !== 'ended' && !isOverdue(record, context);
}

/**
 * The caller's running or paused sandbox. Throws `sandbox_not_found`; for the caller's own sandbox the message says how
 * it ended.
 */
export async function getLive(context: ApiContext, caller: Caller, idText: string): Promise<SandboxRecord> {
  const record = await findOwn(context, caller, idText);
  if (record === undefined) throw sandboxNotFound(idText);
  if (isLive(record, context)) return record;
  throw sandboxEnded(record.state === 'ended' ? record : { ...record, cause: 'timeout', stateSince: record.endAt });
}

/** Throws `bad_request` for the sandbox of a function: a copy would hold its secrets and serve nobody. */
export function refuseFunctions({ metadata }: SandboxRecord): void {
  const name = metadata[functionMetadataKey];
  if (name === undefined) return;
  throw new SoulBoxError(
    'bad_request',
    `The sandbox belongs to the function ${quoteForError(name)} and cannot be copied.`,
  );
}

/**
 * Runs a call about one sandbox. If the runner has lost the sandbox, its row is ended too, so that lists become
 * correct.
 */
export async function withRow<T>(context: ApiContext, record: SandboxRecord, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (thrown) {
    if (!(thrown instanceof SoulBoxError) || thrown.reason !== 'sandbox_not_found') throw thrown;
    throw await goneFromRunner(context, record);
  }
}

/**
 * The error when the runner does not know a sandbox. Its event with the true cause may still arrive, so this waits a
 * moment for it. Then the runner is asked once more: a sandbox that it has now is not lost, and one that it does not
 * have is ended.
 */
export async function goneFromRunner(context: ApiContext, record: SandboxRecord): Promise<SoulBoxError> {
  const giveUpAt = performance.now() + lostAfterMs;
  for (let waitMs = 5; performance.now() < giveUpAt; waitMs *= 2) {
    const present = await endOf(context, record);
    if (present !== undefined) return present;
    await sleep(waitMs);
  }
  await endMissing(context, [record]);
  return (await endOf(context, record)) ?? changedMeanwhile(record.id);
}

/** Undefined while the row is not ended. */
async function endOf(context: ApiContext, { id, teamId }: SandboxRecord): Promise<SoulBoxError | undefined> {
  const present = await context.records.sandboxes.findOwn(teamId, id);
  if (present === undefined) return sandboxNotFound(id);
  return present.state === 'ended' ? sandboxEnded(present) : undefined;
}

function changedMeanwhile(id: string): SoulBoxError {
  const message = `Sandbox ${quoteForError(id)} changed its state during the request. Retry.`;
  return new SoulBoxError('illegal_transition', message);
}
