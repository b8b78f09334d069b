import { SoulBoxError } from '@soulbox/base';
import { errorFromConnect } from '@soulbox/contract/connect-errors';
import type { Sandbox } from '@soulbox/contract/runner';
import type { ApiContext } from '../context.ts';
import { callRunner } from '../runner/call.ts';

/** Long enough for the list of a host full of sandboxes. */
const listTimeoutMs = 30_000;

/**
 * The sandbox as the runner has it now. Undefined when the runner has no such sandbox, neither in a direct lookup nor
 * in its list. Only then may a row be ended as lost. Throws when the runner cannot be asked; then nothing is known.
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

/** All sandboxes of the runner, one at a time, because their metadata can be large. */
export async function* listInRunner(context: ApiContext): AsyncGenerator<Sandbox> {
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
