import { StoreFault } from './store-fault.ts';
import type { StoreLimits } from './store-options.ts';

interface PacedOptions {
  readonly signal: AbortSignal | undefined;
  /** Told how long a chunk took. */
  readonly onWait: (ms: number) => void;
}

/**
 * The chunks of a transfer. It fails when the store, not the reader, is slower than the limit over the time of an
 * attempt, and on any error of the stream. The caller closes the transfer, which ends a read that hangs.
 */
export async function* paced(
  body: AsyncIterable<Uint8Array>,
  { attemptMs, slowestBytesPerSecond }: Pick<StoreLimits, 'attemptMs' | 'slowestBytesPerSecond'>,
  { signal, onWait }: PacedOptions,
): AsyncGenerator<Uint8Array> {
  const chunks = body[Symbol.asyncIterator]();
  const enough = (slowestBytesPerSecond * attemptMs) / 1000;
  let left = attemptMs;
  let received = 0;
  for (;;) {
    const startedAt = performance.now();
    const next = await within(chunks.next(), left, signal);
    const tookMs = performance.now() - startedAt;
    onWait(tookMs);
    if (next.done === true) return;
    left -= tookMs;
    received += next.value.length;
    if (received >= enough) {
      received = 0;
      left = attemptMs;
    }
    yield next.value;
  }
}

async function within<T>(next: Promise<T>, ms: number, signal: AbortSignal | undefined): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  let abort = (): void => undefined;
  const ended = new Promise<never>((_, reject) => {
    const late = (): void => reject(new StoreFault('storage_unavailable', 'The store sends too slowly.'));
    timer = setTimeout(late, Math.max(0, ms));
    abort = () => reject(signal?.reason as Error);
  });
  signal?.addEventListener('abort', abort);
  try {
    signal?.throwIfAborted();
    return await Promise.race([next, ended]);
  } catch (thrown) {
    if (thrown instanceof StoreFault || signal?.aborted === true) throw thrown;
    throw new StoreFault('storage_unavailable', 'The connection to the store broke.', { cause: thrown });
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', abort);
  }
}
