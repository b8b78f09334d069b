/** Gives an event to whoever reads the stream; resolves when it has been taken, which slows a fast writer down. */
export type Emit<T> = (event: T) => Promise<void>;

/**
 * Turns work that emits into a stream: ends with the work, throws what it throws. A reader that leaves aborts it, and is let go
 * when the work has ended.
 */
export async function* streamOf<T>(work: (emit: Emit<T>, left: AbortSignal) => Promise<void>): AsyncGenerator<T> {
  const reader = new AbortController();
  const waiting: { readonly event: T; readonly taken: () => void }[] = [];
  let wake: () => void = () => undefined;
  const state = { isOver: false };
  const emit: Emit<T> = async (event) => {
    if (reader.signal.aborted) return;
    await new Promise<void>((taken) => {
      waiting.push({ event, taken });
      wake();
    });
  };
  const outcome = work(emit, reader.signal).finally(() => {
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
      try {
        yield next.event;
      } finally {
        next.taken();
      }
    }
  } finally {
    reader.abort();
    for (const { taken } of waiting) taken();
    wake = () => undefined;
    await outcome.catch(() => undefined);
  }
  await outcome;
}
