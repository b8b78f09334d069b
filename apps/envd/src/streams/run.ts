import type { HandlerContext } from '@connectrpc/connect';
import { SoulBoxError } from '@soulbox/base';
import type { RunRequest } from '@soulbox/contract/process-v1';
import type { EventInit, OpenStreams } from './follow.ts';
import { follow, parseKeepalive, requirePlace } from './follow.ts';
import { outputsBeside } from './output-frames.ts';
import type { StreamContext } from './start.ts';
import { startOnce } from './start.ts';

/** Starts a process and follows its output in one call. What refuses the stream also refuses the start. */
export async function* run(
  context: StreamContext,
  streams: OpenStreams,
  { start, options }: RunRequest,
  call: HandlerContext,
): AsyncIterable<{ event: EventInit }> {
  if (start === undefined) throw new SoulBoxError('bad_request', 'start is missing.');
  const keepaliveMs = parseKeepalive(options);
  requirePlace(streams);
  const process = startOnce(context, start, call);
  const beside = call.values.get(outputsBeside);
  const follows = { start: { kind: 'oldest' }, keepaliveMs, signal: call.signal, beside } as const;
  for await (const event of follow(process, streams, follows)) yield { event };
}
