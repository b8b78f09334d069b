import type { MessageInitShape } from '@bufbuild/protobuf';
import type { WatchEventsResponseSchema } from '@soulbox/contract/runner';

export type RunnerEvent = MessageInitShape<typeof WatchEventsResponseSchema>;

/** Events a watcher may lag behind before it is cut off; it reconnects and starts from a snapshot again. */
const maxLag = 10_000;

/** Tells watchers of every change, in order. A watcher that lags too far is ended rather than fed from memory. */
export interface Events {
  emit(event: RunnerEvent): void;
  /** Yields `snapshot` first, then every event emitted from this call on. Ends with the signal. */
  watch(snapshot: readonly RunnerEvent[], signal: AbortSignal): AsyncGenerator<RunnerEvent>;
}

export function createEvents(): Events {
  const queues = new Set<{ waiting: RunnerEvent[]; wake: () => void }>();
  return {
    emit(event) {
      for (const queue of queues) {
        queue.waiting.push(event);
        queue.wake();
      }
    },
    async *watch(snapshot, signal) {
      const queue = { waiting: [...snapshot], wake: (): void => undefined };
      queues.add(queue);
      const onAbort = (): void => {
        queue.wake();
      };
      signal.addEventListener('abort', onAbort);
      try {
        while (!signal.aborted) {
          const event = queue.waiting.shift();
          if (event !== undefined) {
            if (queue.waiting.length > maxLag) return;
            yield event;
          } else {
            await new Promise<void>((resolve) => {
              queue.wake = resolve;
            });
          }
        }
      } finally {
        signal.removeEventListener('abort', onAbort);
        queues.delete(queue);
      }
    },
  };
}
