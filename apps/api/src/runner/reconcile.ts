import { SoulBoxError, sleep } from '@soulbox/base';
import type { Sandbox } from '@soulbox/contract/runner';
import type { SandboxRecord } from '@soulbox/storage';
import type { ApiContext } from '../context.ts';
import { errorFromConnect } from '@soulbox/contract';
import { callRunner } from './call.ts';
import { factsFromRunner } from './sandbox-facts.ts';

/** How often the records are compared with the runner's list while their connection holds. Milliseconds. */
const compareEveryMs = 60_000;
/** For the list of a host full of sandboxes. */
const listTimeoutMs = 30_000;

/**
 * The sandbox as the runner has it now, undefined when it has none of this id: neither asked for it nor in its list. Only after
 * that a row may be ended as lost. Throws what a runner throws that cannot be asked; then nothing is known.
 */
export async function findInRunner(context: ApiContext, sandboxId: string): Promise<Sandbox | undefined> {
  try {
    return (await callRunner((options) => context.runner.getSandbox({ sandboxId }, options))).sandbox;
  } catch (thrown) {
    if (!(thrown instanceof SoulBoxError) || thrown.reason !== 'sandbox_not_found') throw thrown;
  }
  for await (const sandbox of listInRunner(context)) if (sandbox.sandboxId === sandboxId) return sandbox;
  return undefined;
}

/** The runner's whole list, one at a time: what tenants attach to sandboxes can be large. */
async function* listInRunner(context: ApiContext): AsyncGenerator<Sandbox> {
  const done = new AbortController();
  const signal = AbortSignal.any([done.signal, context.stopping, AbortSignal.timeout(listTimeoutMs)]);
  try {
    for await (const { event } of context.runner.watchEvents({}, { signal })) {
      if (event.case === 'snapshotDone') return;
      if (event.case === 'created' && event.value.sandbox !== undefined) yield event.value.sandbox;
    }
    throw new SoulBoxError('runner_unavailable', 'The runner closed the list of its sandboxes before it was complete.');
  } catch (thrown) {
    throw errorFromConnect(thrown);
  } finally {
    done.abort();
  }
}

/** Ends rows of sandboxes that the runner was seen without, each after the runner was asked for it once more. */
export async function endMissing(context: ApiContext, missing: Iterable<SandboxRecord>): Promise<void> {
  for (const { id, state, endAt, lifecycle } of missing) {
    if ((await findInRunner(context, id)) !== undefined) continue;
    const now = context.clock.now();
    const expired = state === 'running' && lifecycle.onTimeout === 'kill' && endAt <= now;
    const cause = expired ? 'timeout' : 'lost';
    if (await context.records.sandboxes.end(id, cause, expired ? endAt : now))
      context.logger.warn({ sandboxId: id, cause }, 'sandbox gone from the runner');
  }
}

/**
 * Makes the records agree with a sandbox that the runner has. One without a row gets one; one whose row had ended as lost is taken
 * back; one that was ended in any other way is ended in the runner too, for its owner has been told that it is gone.
 */
export async function takeIn(context: ApiContext, sandbox: Sandbox): Promise<void> {
  const { sandboxId } = sandbox;
  const row = await context.records.sandboxes.find(sandboxId);
  if (row?.state !== 'ended') {
    await putSandbox(context, sandbox);
    return;
  }
  // It may have ended a moment ago, after the runner's list was made.
  const present = await findInRunner(context, sandboxId);
  if (present === undefined) return;
  if (row.cause === 'lost') {
    if (await context.records.sandboxes.takeBack(factsFromRunner(present), context.clock.now()))
      context.logger.warn({ sandboxId, team: row.teamId }, 'sandbox that was taken for lost is back');
    return;
  }
  context.logger.warn({ sandboxId, team: row.teamId, cause: row.cause }, 'sandbox ran on after its end; it ends now');
  await callRunner((options) => context.runner.killSandbox({ sandboxId }, options));
}

/**
 * Writes what the runner says of a sandbox. The team of a records file that was lost or replaced is made anew without keys: nobody
 * else sees its sandboxes, and the operator does (`soulbox sandbox recover`).
 */
export async function putSandbox(context: ApiContext, sandbox: Sandbox): Promise<void> {
  const { sandboxId, teamId } = sandbox;
  const facts = factsFromRunner(sandbox);
  if (await context.records.sandboxes.put(facts, context.clock.now())) return;
  const team = {
    id: teamId,
    name: `recovered ${teamId.slice(0, 8)}`,
    isDefault: false,
    createdAt: context.clock.now(),
  };
  await context.records.teams.create(team);
  await context.records.sandboxes.put(facts, context.clock.now());
  context.logger.warn({ sandboxId, team: teamId }, 'sandbox of an unknown team; the team is made anew, without keys');
}

/** Compares both lists now and then, until the signal aborts. Never rejects: an absent runner is asked again. */
export async function compareUntil(context: ApiContext, signal: AbortSignal): Promise<void> {
  const isStopped = (): boolean => signal.aborted;
  for (;;) {
    await sleep(compareEveryMs, signal).catch(() => undefined);
    if (isStopped()) return;
    try {
      await compare(context);
    } catch (thrown) {
      if (!isStopped()) context.logger.warn({ err: thrown }, 'records could not be compared with the runner');
    }
  }
}

async function compare(context: ApiContext): Promise<void> {
  // Rows first: what is made between the two questions has no row yet, and a missing row is only asked for.
  const rows = await context.records.sandboxes.listLive();
  const missing = new Map(rows.map((row) => [row.id, row]));
  for await (const sandbox of listInRunner(context))
    if (!missing.delete(sandbox.sandboxId)) await takeIn(context, sandbox);
  await endMissing(context, missing.values());
}
