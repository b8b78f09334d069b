import { headers } from '@soulbox/contract';

/** The seconds of silence if the header is absent (E2B). */
const defaultIntervalSeconds = 90;
const maxIntervalSeconds = 3600;

/** The interval that a client requests with `Keepalive-Ping-Interval`, in milliseconds. An invalid value is ignored. */
export function keepaliveIntervalMs(requestHeader: Headers): number {
  const seconds = Number(requestHeader.get(headers.keepalivePingInterval) ?? defaultIntervalSeconds);
  const isSensible = Number.isInteger(seconds) && seconds >= 1 && seconds <= maxIntervalSeconds;
  return (isSensible ? seconds : defaultIntervalSeconds) * 1000;
}

/** Passes a stream on and inserts `keepalive` after each `intervalMs` of silence. */
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
    // Not awaited: a source that waits for its next event only answers when its own signal aborts.
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
