import type { Socket } from 'node:net';
import { parseFirstBytes } from '../first-bytes/first-bytes.ts';
import type { FirstBytes } from '../first-bytes/first-bytes.ts';
import { createHostGuard } from '../first-bytes/host-guard.ts';
import type { Usage } from '../policies/usage.ts';
import type { ConnectionContext } from './context.ts';
import type { JudgedConnection } from './judged-connection.ts';
import { createPump } from './pump.ts';

/** How often idle connections are looked for, at most. Milliseconds. */
const sweepMs = 30_000;

export interface Relayed {
  /** Bytes that the sandbox sent and received, so far. */
  readonly bytes: () => { readonly sent: number; readonly received: number };
  /** What the first bytes showed, for the log. */
  readonly seen: () => FirstBytes | undefined;
  /** Resolves when both sides have closed. */
  readonly ended: Promise<void>;
}

/** Moves bytes between a sandbox and its destination until one of them, or the policy, ends it. */
export function relay(options: {
  readonly context: ConnectionContext;
  readonly judged: JudgedConnection;
  readonly usage: Usage;
  readonly client: Socket;
  readonly upstream: Socket;
  /** Bytes of the sandbox that were read before. */
  readonly first: Buffer;
  /** Plain HTTP that was allowed because of this name. Further requests must name it as well. */
  readonly guardedName: string | undefined;
}): Relayed {
  const { context, judged, usage, client, upstream, first, guardedName } = options;
  const { limits, stalls } = context;
  const owner = judged.sandbox().sandboxId;
  const guard = guardedName === undefined ? undefined : createHostGuard(guardedName);
  const count = (direction: 'sent' | 'received', bytes: number): number => {
    const delayMs = usage.count(direction, bytes);
    if (delayMs === Infinity) judged.end('byte_limit');
    return delayMs;
  };
  const checked = (bytes: Buffer | 'refused'): Buffer | undefined => {
    if (bytes !== 'refused') return bytes;
    judged.end('name_mismatch');
    return undefined;
  };
  const reset = (): void => judged.end('upstream_failed');
  let seen: FirstBytes | undefined;
  const isLimited = (): boolean => {
    const { bytes, bytesPerSecond } = judged.sandbox().limits;
    return bytes > 0 || bytesPerSecond > 0;
  };
  const outward = createPump({
    ...{ from: client, to: upstream, stall: stalls.open(owner, reset), count: (bytes) => count('sent', bytes) },
    filter: guard === undefined ? undefined : (bytes) => checked(guard.fromClient(bytes)),
    // Only for the log, so what is not in the first segment is not worth waiting for.
    onFirst: (bytes) => void (seen = parseFirstBytes(bytes)),
    isLimited,
  });
  const inward = createPump({
    ...{ from: upstream, to: client, stall: stalls.open(owner, reset), count: (bytes) => count('received', bytes) },
    filter:
      guard === undefined
        ? undefined
        : (bytes) => {
            const passed = checked(guard.fromServer(bytes));
            if (passed !== undefined) outward.write(passed);
            return bytes;
          },
    isLimited,
  });
  if (first.length > 0) outward.push(first);
  outward.start();
  inward.start();

  const ended = Promise.withResolvers<undefined>();
  const onClose = (): void => {
    // Whoever is left has lost its peer: after an orderly end it is closed as well, otherwise it hears a reset.
    for (const [one, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      if (one.destroyed || !other.destroyed) continue;
      if (other.errored === null && one.writableFinished && one.readableEnded) one.destroy();
      else if (other.errored === null && one.writableEnded && other.readableEnded) one.destroySoon();
      else one.resetAndDestroy();
    }
    // One that waits for its last bytes to leave is still open. Until then it counts, and can be ended.
    if (!client.destroyed || !upstream.destroyed) return;
    clearInterval(sweep);
    ended.resolve(undefined);
  };
  const sweep = setInterval(
    () => {
      const isHalf = client.readableEnded || upstream.readableEnded;
      const idle = performance.now() - Math.max(outward.activeAt(), inward.activeAt());
      if (idle >= (isHalf ? limits.halfClosedMs : limits.idleMs)) onIdle();
    },
    Math.min(sweepMs, limits.idleMs, limits.halfClosedMs),
  ).unref();
  const onIdle = (): void => {
    client.resetAndDestroy();
    upstream.resetAndDestroy();
  };
  client.once('close', onClose);
  upstream.once('close', onClose);
  if (client.destroyed || upstream.destroyed) onClose();
  return {
    bytes: () => ({ sent: outward.bytes(), received: inward.bytes() }),
    seen: () => seen,
    ended: ended.promise,
  };
}
