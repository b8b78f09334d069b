import { headers } from '@soulbox/contract';

/** Seconds of silence without the header (E2B). */
const defaultIntervalSeconds = 90;
const maxIntervalSeconds = 3600;

/** The interval a client asks for with `Keepalive-Ping-Interval`, in milliseconds. Nonsense counts as not asked. */
export function keepaliveIntervalMs(requestHeader: Headers): number {
  const seconds = Number(requestHeader.get(headers.keepalivePingInterval) ?? defaultIntervalSeconds);
  const isSensible = Number.isInteger(seconds) && seconds >= 1 && seconds <= maxIntervalSeconds;
  return (isSensible ? seconds : defaultIntervalSeconds) * 1000;
}

/** Passes a stream on and puts `keepalive` in wherever it was silent for `intervalMs`. */
export async function* withKeepalive<T>(source: AsyncIterator<T>, intervalMs: number, keepalive: T): AsyncIterable<T> {
  let next = source.next();
  try {
    for (;;) {
      const result = await within(next, intervalMs);
      if (result === undefined) yield keepalive;
      else if (result.done === true) return;
      else {
        next = source.next();
        yield result.value;
      }
    }
  } finally {
    // Not awaited: a source that waits for its next event answers when its own signal aborts.
    next.catch(() => undefined);
    void source.return?.();
  }
}

async function within<T>(promise: Promise<T>, ms: number): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<undefined>((resolve) => (timer = setTimeout(() => resolve(undefined), ms)));
  try {
    return await Promise.race([promise, timeout]);
  } finally {
    clearTimeout(timer);
  }
}
