import type { Client } from '@connectrpc/connect';
import type { Event, From, ProcessService } from '@soulbox/contract/process-v1';
import { resumeStream } from '../core/resume-stream.ts';
import type { ResumableStream, ResumeOptions } from '../core/resume-stream.ts';

export interface Attachment {
  readonly processId: string;
  /** Absent: the oldest output that is kept. */
  readonly from?: From['from'];
  /** Seconds of silence after which the server shows that it is there. Default 30. */
  readonly keepaliveSeconds?: number;
  /** A stream from the oldest output on that has begun already, see `runProcess`. It is read once, before any other. */
  readonly opened?: OpenedStream | undefined;
}

/** Ends when the signal aborts. */
export type OpenedStream = (signal: AbortSignal) => AsyncIterable<Event['event']>;

/** What a reader of a process gets: `attached` once, then output and gaps in order, then `ended`. */
export type ProcessEvent = Extract<Event['event'], { case: 'attached' | 'output' | 'gap' | 'ended' }>;

export const defaultKeepaliveSeconds = 30;
/** How late a sign of life may be. */
const graceMs = 10_000;

/**
 * Reads the output of a process from a position on, over as many connections as it takes. Each byte arrives once; what
 * the server has dropped arrives as `gap`. Throws CallError, with code `out_of_range` for a position beyond the end.
 */
export async function* attachProcess(
  client: Pick<Client<typeof ProcessService>, 'attach'>,
  { processId, from = { case: undefined }, keepaliveSeconds = defaultKeepaliveSeconds, opened }: Attachment,
  options: Omit<ResumeOptions, 'from'> = {},
): AsyncGenerator<ProcessEvent> {
  let first = opened;
  const stream: ResumableStream<Event['event']> = {
    name: `output of process ${processId}`,
    async *open(offsets, signal) {
      if (first !== undefined) {
        const begun = first(signal);
        first = undefined;
        yield* begun;
        return;
      }
      // Once something is known, the position replaces words such as "newest".
      const isKnown = offsets.channels.length > 0;
      const start: From['from'] = isKnown ? { case: 'position', value: offsets.of() } : from;
      const request = {
        processId,
        options: { keepaliveSeconds },
        ...(start.case === undefined ? {} : { from: { from: start } }),
      };
      for await (const { event } of client.attach(request, { signal })) if (event !== undefined) yield event.event;
    },
    startOf: (event) => (event.case === 'attached' ? event.value.position : undefined),
    positionOf,
    trim,
    isLast: (event) => event.case === 'ended',
  };
  let isAttached = false;
  const silenceMs = keepaliveSeconds * 1000 + graceMs;
  const begin = from.case === 'position' ? { from: from.value } : {};
  for await (const event of resumeStream(stream, { silenceMs, ...options, ...begin })) {
    if (event.case === 'attached' && isAttached) continue;
    if (event.case === 'attached') isAttached = true;
    if (event.case === 'attached' || event.case === 'output' || event.case === 'gap' || event.case === 'ended')
      yield event;
  }
}

function positionOf(event: Event['event']): { start: bigint; end: bigint } | undefined {
  if (event.case === 'output') {
    const { position, data } = event.value;
    return { start: position, end: position + BigInt(data.length) };
  }
  // What was dropped counts as read.
  if (event.case === 'gap') return { start: event.value.from, end: event.value.to };
  if (event.case === 'ended') return { start: event.value.position, end: event.value.position };
  return undefined;
}

function trim(event: Event['event'], skip: bigint): Event['event'] {
  if (event.case === 'gap') return { case: 'gap', value: { ...event.value, from: event.value.from + skip } };
  if (event.case !== 'output') return event;
  const { position, streamPosition, data } = event.value;
  const rest = { position: position + skip, streamPosition: streamPosition + skip, data: data.subarray(Number(skip)) };
  return { case: 'output', value: { ...event.value, ...rest } };
}
