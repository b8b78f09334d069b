import { create } from '@bufbuild/protobuf';
import { WatchEventsResponseSchema } from '@soulbox/contract/runner';
import type { WatchEventsResponse } from '@soulbox/contract/runner';

export type ScriptedEvent = WatchEventsResponse['event'];

/** The event streams of a scripted runner. */
export interface ScriptedEvents {
  /** A stream that begins with these events. Ends when it is cut or its reader leaves. */
  readonly watch: (first: readonly ScriptedEvent[], signal: AbortSignal) => AsyncGenerator<WatchEventsResponse>;
  readonly tell: (event: ScriptedEvent) => void;
  /** Breaks all streams. */
  readonly cut: () => void;
  /** The number of open streams. */
  readonly watchers: () => number;
}

export function createScriptedEvents(): ScriptedEvents {
  const streams = new Set<{ push: (event: ScriptedEvent | undefined) => void }>();
  const pushToAll = (event: ScriptedEvent | undefined): void => {
    for (const stream of streams) stream.push(event);
  };
  return {
    tell: pushToAll,
    cut: () => pushToAll(undefined),
    watchers: () => streams.size,
    async *watch(first, signal) {
      const queue: (ScriptedEvent | undefined)[] = [...first];
      let wake = (): void => undefined;
      const stream = {
        push: (event: ScriptedEvent | undefined) => {
          queue.push(event);
          wake();
        },
      };
      signal.addEventListener('abort', () => stream.push(undefined));
      streams.add(stream);
      try {
        for (;;) {
          while (queue.length > 0) {
            const event = queue.shift();
            if (event === undefined) return;
            yield create(WatchEventsResponseSchema, { event: event as never });
          }
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        }
      } finally {
        streams.delete(stream);
      }
    },
  };
}
