import { CallError, describeRequest } from '@soulbox/client';
import { sendRequest } from '@soulbox/client/node';
import type { BoundedAnswer, BoundedRequest } from '@soulbox/client/node';
import { SoulBoxError } from '@soulbox/base';
import type { Way } from './way.ts';

/** A request outside of Connect. `timeoutMs` and `signal` hold for all of its attempts together. */
export type EnvdCall = Omit<BoundedRequest, 'over'> & { readonly method: 'GET' | 'POST' };

/**
 * Makes one HTTP request outside of Connect. A response with any status is an answer. Throws `sandbox_unreachable` if
 * there is none, and the error that occurred while the request body was read.
 */
export async function callEnvd(way: Way, call: EnvdCall): Promise<BoundedAnswer> {
  const { target } = way;
  try {
    // A body that arrives in pieces is gone after one attempt.
    const isWhole = call.body === undefined || call.body instanceof Uint8Array;
    if (target === undefined || !isWhole) return await sendInSlot(way, call);
    const { timeoutMs, ...rest } = call;
    const signal = bothSignals(call.signal, timeoutMs);
    const description = describeRequest(call.method, call.path);
    return await target.call(description, async (attempt) => await sendInSlot(way, { ...rest, signal: attempt }), {
      signal,
    });
  } catch (thrown) {
    if (!(thrown instanceof CallError)) throw thrown;
    const { cause = thrown } = thrown;
    throw new SoulBoxError('sandbox_unreachable', 'The envd of the sandbox did not respond.', { cause });
  }
}

async function sendInSlot(way: Way, call: EnvdCall): Promise<BoundedAnswer> {
  const release = await way.slots.take(call.signal);
  try {
    return await send(way, call);
  } finally {
    release();
  }
}

async function send({ agent, origin, headers }: Way, call: EnvdCall): Promise<BoundedAnswer> {
  return await sendRequest({
    ...call,
    over: { agent, origin },
    headers: { ...headers, ...call.headers, 'accept-encoding': 'identity' },
  });
}

function bothSignals(signal: AbortSignal | undefined, timeoutMs: number | undefined): AbortSignal | undefined {
  if (timeoutMs === undefined) return signal;
  const limit = AbortSignal.timeout(timeoutMs);
  return signal === undefined ? limit : AbortSignal.any([signal, limit]);
}
