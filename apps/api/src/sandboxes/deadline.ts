import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { SoulBoxError } from '@soulbox/base';
import type { SandboxRecord } from '@soulbox/storage';
import type { ApiContext } from '../context.ts';
import { quoteForError } from '../http/quote-for-error.ts';
import { runnerStateMs } from '../limits.ts';
import { callRunner } from '../runner/call.ts';
import { factsFromRunner } from '../runner/sandbox-facts.ts';
import { goneFromRunner, withRow } from '../lookup/sandbox.ts';

const hourSeconds = 3600;

/** Throws `bad_request` for a timeout above the maximum (E2B's text). */
export function checkTimeout(context: ApiContext, timeoutSeconds: number): void {
  const hours = context.config.maxTimeoutHours;
  if (timeoutSeconds > hours * hourSeconds)
    throw new SoulBoxError('bad_request', `Timeout cannot be greater than ${hours} hours`);
}

/** The latest end of a running sandbox: the maximum life, counted from its start or its last resume. */
export function latestEnd(context: ApiContext, record: SandboxRecord): number {
  return record.executionStartedAt + context.config.maxTimeoutHours * hourSeconds * 1000;
}

/** Throws `illegal_transition` for a paused sandbox, which has no deadline. */
export function refusePaused({ id, state }: SandboxRecord): void {
  if (state !== 'paused') return;
  throw new SoulBoxError(
    'illegal_transition',
    `Sandbox ${quoteForError(id)} is paused and has no timeout. Connect to it to resume it.`,
  );
}

/**
 * Moves the end to `timeoutSeconds` from now, but not beyond the maximum life. With `onlyExtend` a later end stays. The
 * records are updated before the response. Throws `illegal_transition` for a paused sandbox.
 */
export async function moveDeadline(
  context: ApiContext,
  record: SandboxRecord,
  timeoutSeconds: number,
  onlyExtend: boolean,
): Promise<void> {
  refusePaused(record);
  const endAt = timestampFromMs(Math.min(context.clock.now() + timeoutSeconds * 1000, latestEnd(context, record)));
  const change = { sandboxId: record.id, endAt, onlyExtend };
  const { sandbox } = await withRow(context, record, () =>
    callRunner((options) => context.runner.setDeadline(change, options), runnerStateMs),
  );
  if (sandbox === undefined) throw await goneFromRunner(context, record);
  await context.records.sandboxes.put(factsFromRunner(sandbox), context.clock.now());
}
