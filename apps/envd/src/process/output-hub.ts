/**
 * Delivers the events of one process to all listeners.
 *
 * A listener that reads slowly slows the process down: `ready` waits until all have room again, so envd's memory stays
 * bounded. A listener that has read nothing for `stallMs` while others wait is dropped, because a client that is gone
 * must not stop a process for ever. Without a listener events are discarded: like E2B, nothing is buffered for later.
 */
export interface OutputHub<Event> {
  /** Resolves when every listener has room or was dropped. */
  ready(): Promise<void>;
  /** Delivers an event with a size of `sizeBytes`. */
  publish(event: Event, sizeBytes: number): void;
  /** Ends all subscriptions after they have read their queued events. */
  end(): void;
  /** The listener is called once, at `end`. */
  onEnd(listener: () => void): void;
  /** Events from now on. Ends after `end` or when the signal aborts. Throws when dropped. */
  subscribe(signal: AbortSignal): AsyncIterableIterator<Event>;
}

export interface OutputHubOptions {
  /** Bytes that may wait for a listener before the process has to wait. */
  readonly highWaterBytes: number;
  readonly stallMs: number;
  /** Creates the error that is thrown at a dropped listener. */
  readonly stalled: () => Error;
}

interface Queued<Event> {
  readonly event: Event;
  readonly sizeBytes: number;
}

interface Listener<Event> {
  readonly queue: Queued<Event>[];
  queuedBytes: number;
  /** Incremented with each event read, to distinguish slow from stuck. */
  taken: number;
  state: 'open' | 'ended' | 'dropped';
  wake: () => void;
}

export function createOutputHub<Event>(options: OutputHubOptions): OutputHub<Event> {
  const listeners = new Set<Listener<Event>>();
  const endListeners: (() => void)[] = [];
  let isEnded = false;
  /** One per wait, because standard output and errors are read in parallel. */
  const waits = new Set<() => void>();
  const roomMade = (): void => {
    if (full().length === 0) for (const proceed of waits) proceed();
  };
  const full = (): Listener<Event>[] => [...listeners].filter((one) => one.queuedBytes >= options.highWaterBytes);

  function leave(listener: Listener<Event>, state: 'ended' | 'dropped'): void {
    listeners.delete(listener);
    if (listener.state === 'open') listener.state = state;
    if (state === 'dropped') {
      listener.queue.length = 0;
      listener.queuedBytes = 0;
    }
    listener.wake();
    roomMade();
  }

  /** Waits once, for at most `stallMs`. Drops listeners that read nothing in that time. */
  async function waitForRoom(): Promise<void> {
    const before = new Map(full().map((one) => [one, one.taken]));
    await new Promise<void>((resolve) => {
      const proceed = (): void => {
        clearTimeout(timer);
        waits.delete(proceed);
        resolve();
      };
      const timer = setTimeout(() => {
        for (const [one, taken] of before) if (one.taken === taken) leave(one, 'dropped');
        proceed();
      }, options.stallMs);
      waits.add(proceed);
    });
  }

  async function* read(listener: Listener<Event>): AsyncIterableIterator<Event> {
    try {
      for (;;) {
        const next = listener.queue.shift();
        if (next !== undefined) {
          listener.queuedBytes -= next.sizeBytes;
          listener.taken += 1;
          roomMade();
          yield next.event;
        } else if (listener.state === 'dropped') throw options.stalled();
        else if (listener.state === 'ended') return;
        else await new Promise<void>((resolve) => (listener.wake = resolve));
      }
    } finally {
      leave(listener, 'ended');
    }
  }

  return {
    async ready() {
      while (full().length > 0) await waitForRoom();
    },
    publish(event, sizeBytes) {
      for (const listener of listeners) {
        listener.queue.push({ event, sizeBytes });
        listener.queuedBytes += sizeBytes;
        listener.wake();
      }
    },
    end() {
      isEnded = true;
      for (const listener of [...listeners]) leave(listener, 'ended');
      for (const listener of endListeners) listener();
    },
    onEnd: (listener) => void endListeners.push(listener),
    subscribe(signal) {
      const listener: Listener<Event> = {
        queue: [],
        queuedBytes: 0,
        taken: 0,
        state: isEnded || signal.aborted ? 'ended' : 'open',
        wake: () => undefined,
      };
      if (listener.state === 'open') listeners.add(listener);
      signal.addEventListener('abort', () => leave(listener, 'ended'), { once: true });
      return read(listener);
    },
  };
}
