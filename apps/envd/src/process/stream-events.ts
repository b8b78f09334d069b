import type { HandlerContext } from '@connectrpc/connect';
import { Code, ConnectError } from '@connectrpc/connect';
import { keepaliveIntervalMs, withKeepalive } from '../server/keepalive.ts';
import type { ManagedProcess, ProcessEventInit } from './managed-process.ts';

const keepalive = { event: { case: 'keepalive', value: {} } } as const;

/**
 * Yields `start`, then the output of the process from now on, then `end`. Throws deadline_exceeded at the call's
 * deadline.
 */
export async function* streamEvents(
  process: ManagedProcess,
  call: HandlerContext,
): AsyncIterable<{ event: ProcessEventInit }> {
  // Subscribed before `start` is sent; otherwise output in between would be lost.
  const events = process.output.subscribe(call.signal);
  const { endEvent } = process;
  yield { event: { event: { case: 'start', value: { pid: process.pid } } } };
  for await (const event of withKeepalive<ProcessEventInit>(
    events,
    keepaliveIntervalMs(call.requestHeader),
    keepalive,
  )) {
    yield { event };
  }
  if (endEvent !== undefined) yield { event: endEvent };
  if (isDeadline(call.signal.reason))
    throw new ConnectError('the process reached its time limit', Code.DeadlineExceeded);
}

function isDeadline(reason: unknown): boolean {
  return reason instanceof ConnectError && reason.code === Code.DeadlineExceeded;
}
