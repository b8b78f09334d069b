import { errorFromConnect } from './error-from-connect.ts';

/** A client of the runner, as far as this goes. */
interface RoomHolder {
  holdHostRoom(request: { bytes: bigint; what: string }, options: { signal: AbortSignal }): AsyncIterable<unknown>;
}

/** The runner answers from memory. */
const answerMs = 10_000;

/**
 * Sets room aside on the disk of the runner's host, for something that is about to be written there, until disposed. `what` begins the
 * message when there is none. Throws `disk_full`, `runner_unavailable`.
 */
export async function holdHostRoom(
  runner: RoomHolder,
  { bytes, what }: { readonly bytes: number; readonly what: string },
): Promise<Disposable> {
  const over = new AbortController();
  const late = setTimeout(() => {
    over.abort();
  }, answerMs);
  try {
    const stream = runner.holdHostRoom({ bytes: BigInt(bytes), what }, { signal: over.signal });
    await stream[Symbol.asyncIterator]().next();
  } catch (thrown) {
    throw errorFromConnect(thrown);
  } finally {
    clearTimeout(late);
  }
  return {
    [Symbol.dispose]: () => {
      over.abort();
    },
  };
}
