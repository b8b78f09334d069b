import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { SoulBoxError } from '@soulbox/base';
import type { Sandbox } from '@soulbox/contract/runner';
import type { SandboxRecord } from '@soulbox/storage';
import type { ApiContext } from '../context.ts';
import { callRunner } from '../runner/call.ts';
import { factsFromRunner } from '../runner/sandbox-facts.ts';
import { sandboxNotFound, withRow } from './find.ts';

const hourSeconds = 3600;

/** Throws `bad_request` for a timeout above the maximum (E2B's text). */
export function checkTimeout(context: ApiContext, timeoutSeconds: number): void {
  const hours = context.config.maxTimeoutHours;
  if (timeoutSeconds > hours * hourSeconds)
    throw new SoulBoxError('bad_request', `Timeout cannot be greater than ${hours} hours`);
}

/**
 * Moves the end to `timeoutSeconds` from now, but never beyond the longest life counted from the start.
 * `onlyExtend` leaves a later end alone. The records follow before the answer.
 */
export async function moveDeadline(
  context: ApiContext,
  record: SandboxRecord,
  timeoutSeconds: number,
  onlyExtend: boolean,
): Promise<Sandbox> {
  const latest = record.startedAt + context.config.maxTimeoutHours * hourSeconds * 1000;
  const endAt = timestampFromMs(Math.min(context.clock.now() + timeoutSeconds * 1000, latest));
  const { sandbox } = await withRow(context, record, () =>
    callRunner((options) => context.runner.setDeadline({ sandboxId: record.id, endAt, onlyExtend }, options)),
  );
  if (sandbox === undefined) throw sandboxNotFound(record.id);
  await context.records.sandboxes.put(factsFromRunner(sandbox));
  return sandbox;
}
