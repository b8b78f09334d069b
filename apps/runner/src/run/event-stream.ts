/** Gives an event to whoever reads the stream; resolves when it has been taken, which slows a fast writer down. */
export type Emit<T> = (event: T) => Promise<void>;

/**
 * Turns work that emits into a stream: ends with the work, throws what it throws. When the reader leaves, or `signal` says that it
 * has, the work is told by `left`; nobody waits for its events then, and a reader that leaves is let go when the work has ended.
 */
export async function* streamOf<T>(
  work: (emit: Emit<T>, left: AbortSignal) => Promise<void>,
  signal?: AbortSignal,
): AsyncGenerator<T> {
  const leaving = new AbortController();
  const left = signal === undefined ? leaving.signal : AbortSignal.any([leaving.signal, signal]);
  const waiting: { readonly event: T; readonly taken: () => void }[] = [];
  let wake: () => void = () => undefined;
  const state = { isOver: false };
  const emit: Emit<T> = async (event) => {
    if (left.aborted) return;
    await new Promise<void>((taken) => {
      // A reader that has gone for good never comes back to say so.
      left.addEventListener('abort', () => taken(), { once: true });
      waiting.push({ event, taken });
      wake();
    });
  };
  const outcome = work(emit, left).finally(() => {
    state.isOver = true;
    wake();
  });
  // Heard below; until then it is nobody's unhandled rejection.
  outcome.catch(() => undefined);
  try {
    for (;;) {
      const next = waiting.shift();
      if (next === undefined) {
        if (state.isOver) break;
        await new Promise<void>((resolve) => (wake = resolve));
        continue;
      }
      yield next.event;
      next.taken();
    }
  } finally {
    leaving.abort();
    await outcome.catch(() => undefined);
  }
  await outcome;
}
