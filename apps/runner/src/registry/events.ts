import type { Cause } from '@soulbox/contract';
import type { TenantRecord } from './table.ts';

/**
 * A change that is announced to a tenant. It carries the record of that moment, because a later step makes another
 * record.
 */
export type RunnerEvent =
  | { readonly kind: 'created' | 'updated'; readonly record: TenantRecord }
  | { readonly kind: 'ended'; readonly sandboxId: string; readonly cause: Cause }
  /** An empty `snapshotId` means that the checkpoint served a fork only. */
  | { readonly kind: 'checkpointed'; readonly sandboxId: string; readonly snapshotId: string }
  /** Every sandbox that existed when the watch began has been announced. */
  | { readonly kind: 'listed' };

/** A watcher that lags behind by more events is disconnected. It reconnects and starts with the complete list again. */
const maxLag = 10_000;

/**
 * Sends every change to watchers, in order. The stream of a watcher that lags too far ends, which bounds the memory.
 */
export interface Events {
  emit(event: RunnerEvent): void;
  /** Yields `present` first, then every event emitted from this call on. Ends with the signal. */
  watch(present: readonly RunnerEvent[], signal: AbortSignal): AsyncGenerator<RunnerEvent>;
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
    async *watch(present, signal) {
      const queue = { waiting: [...present], wake: (): void => undefined };
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
