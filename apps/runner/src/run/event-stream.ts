/**
 * Gives an event to the reader of the stream. Resolves when the reader has taken it, which slows down a fast writer.
 */
export type Emit<T> = (event: T) => Promise<void>;

/**
 * Turns work that emits events into a stream, which ends with the work and throws what it throws. When the reader
 * leaves or `signal` aborts, `left` aborts and further events are dropped. The stream returns after the work has ended.
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
    const { promise, resolve } = Promise.withResolvers<undefined>();
    const taken = (): void => resolve(undefined);
    // A reader that is gone never takes the event.
    left.addEventListener('abort', taken, { once: true });
    waiting.push({ event, taken });
    wake();
    await promise;
    // `left` would keep the event until the end of the stream.
    left.removeEventListener('abort', taken);
  };
  const outcome = work(emit, left).finally(() => {
    state.isOver = true;
    wake();
  });
  // It is awaited below. Until then it must not be an unhandled rejection.
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
