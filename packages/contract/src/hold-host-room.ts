import { errorFromConnect } from './error-from-connect.ts';

/** The part of the runner's client that is used here. */
interface RoomHolder {
  holdHostRoom(request: { bytes: bigint; what: string }, options: { signal: AbortSignal }): AsyncIterable<unknown>;
}

/** The runner answers from memory, so a longer wait means that it does not answer. */
const answerMs = 10_000;

/**
 * Reserves space on the disk of the runner's host for data that is about to be written there, until disposed. `what`
 * begins the error message if there is no space. Throws `disk_full` and `runner_unavailable`.
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
