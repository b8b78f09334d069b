import type { CallError } from './call-error.ts';

export type BreakerState = 'closed' | 'open' | 'half-open';

/** What happens between a client and one target. `target` is its name, usually the origin of its URL. */
export type ClientEvent = { readonly target: string } & (
  | { readonly type: 'connect'; readonly connections: number }
  /** A connection broke or did not answer a ping. Its calls and streams have failed. */
  | { readonly type: 'dead'; readonly connections: number; readonly cause: unknown }
  /** A connection was closed on purpose. */
  | { readonly type: 'close'; readonly connections: number; readonly why: 'idle' | 'drained' | 'closed' }
  | {
      readonly type: 'retry';
      readonly call: string;
      /** The number of the attempt that failed, from 1. */
      readonly attempt: number;
      readonly delayMs: number;
      readonly error: CallError;
    }
  | { readonly type: 'breaker'; readonly state: BreakerState }
  /** A call begins to wait for a connection. `waiting` includes it. */
  | { readonly type: 'wait'; readonly waiting: number }
  /** A stream was cut and is opened again at its last position. */
  | { readonly type: 'resume'; readonly stream: string; readonly error: CallError | undefined }
);

export type EventListener = (event: ClientEvent) => void;

export interface ClientEvents {
  emit(event: ClientEvent): void;
  /** Returns the removal of the listener. */
  on(listener: EventListener): () => void;
}

export function createEvents(): ClientEvents {
  const listeners = new Set<EventListener>();
  return {
    emit(event) {
      for (const listener of [...listeners]) {
        try {
          listener(event);
        } catch (error) {
          // A listener only watches. Its fault must not fail a call; it is reported as an uncaught one.
          queueMicrotask(() => {
            throw error;
          });
        }
      }
    },
    on(listener) {
      // A wrapper, so that a listener which is added twice is also removed twice.
      const own: EventListener = (event) => listener(event);
      listeners.add(own);
      return () => void listeners.delete(own);
    },
  };
}
