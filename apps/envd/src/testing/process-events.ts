import type { Message, MessageInitShape } from '@bufbuild/protobuf';
import type { EventSchema, OutputStream, StartRequestSchema } from '@soulbox/contract/process-v1';
import type { createClients } from './clients.ts';

type Streams = ReturnType<typeof createClients>['streams'];
export type Event = NonNullable<MessageInitShape<typeof EventSchema>['event']>;
export type StartInit = Exclude<MessageInitShape<typeof StartRequestSchema>, Message>;

/** Starts a shell line with soulbox.process.v1. Returns the id. */
export async function startLine(streams: Streams, line: string, options: StartInit = {}): Promise<string> {
  const command = { program: '/bin/bash', args: ['-c', line] };
  const { process } = await streams.start({ command, ...options });
  return process?.id ?? '';
}

export async function collectEvents(
  events: AsyncIterable<{ event?: { event: unknown } | undefined }>,
): Promise<Event[]> {
  const all: Event[] = [];
  for await (const { event } of events) all.push(event?.event as Event);
  return all;
}

export function textOf(events: readonly Event[], stream?: OutputStream): string {
  return Buffer.concat(
    events.map((event) =>
      event.case === 'output' && (stream === undefined || event.value.stream === stream)
        ? Buffer.from(event.value.data ?? [])
        : Buffer.alloc(0),
    ),
  ).toString();
}

export function exitOf(events: readonly Event[]) {
  const last = events.at(-1);
  return last?.case === 'ended' ? last.value.exit : undefined;
}
