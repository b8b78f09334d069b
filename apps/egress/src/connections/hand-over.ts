import type { Socket } from 'node:net';
import type { Route } from '../judge/judge-connection.ts';
import { EgressRefusal } from '../judge/refusal.ts';
import type { Usage } from '../policies/usage.ts';
import type { ConnectionContext } from './context.ts';
import { dialRoute } from './dial-route.ts';
import type { InterceptedConnection } from './interceptor.ts';
import type { JudgedConnection } from './judged-connection.ts';
import { meterSocket } from './metered.ts';

/** How often the bytes of a connection without a speed limit are counted. Milliseconds. */
const countMs = 100;

/** Passes a connection to the interceptor, and counts its bytes. Throws `EgressRefusal`. */
export async function handOver(options: {
  readonly context: ConnectionContext;
  readonly usage: Usage;
  readonly judged: JudgedConnection;
  readonly client: Socket;
  readonly first: Buffer;
  readonly route: Extract<Route, { kind: 'intercept' }>;
  readonly facts: { isLogged: boolean; bytes: { sent: number; received: number } };
}): Promise<void> {
  const { context, usage, judged, client, first, route, facts } = options;
  const { destination, signal } = judged;
  using place = usage.intercept();
  if (place === undefined) throw new EgressRefusal('connection_limit');
  const { sandboxId, teamId } = judged.sandbox();
  if (first.length > 0) client.unshift(first);
  const isMetered = judged.sandbox().limits.bytesPerSecond > 0;
  const count = (direction: 'sent' | 'received', bytes: number): number => {
    const delayMs = usage.count(direction, bytes);
    if (delayMs === Infinity) judged.end('byte_limit');
    return delayMs;
  };
  const stream = isMetered ? meterSocket(client, count) : client;
  const counted = { sent: 0, received: 0 };
  const countSocket = (): void => {
    const now = { sent: client.bytesRead, received: client.bytesWritten };
    if (!isMetered) {
      count('sent', now.sent - counted.sent);
      count('received', now.received - counted.received);
      // The socket itself cannot be slowed down.
      if (judged.sandbox().limits.bytesPerSecond > 0) judged.end('policy_changed');
    }
    Object.assign(counted, now);
    facts.bytes = now;
  };
  const counting = setInterval(countSocket, countMs).unref();
  const end = (): void => void client.resetAndDestroy();
  signal.addEventListener('abort', end, { once: true });
  const schemeOf = route.scheme === 'http' ? 'http' : 'tls';
  const connection: InterceptedConnection = {
    ...{ client: stream, scheme: route.scheme, name: route.name, port: destination.port, signal },
    sandbox: () => judged.sandbox(),
    judge(name) {
      const other = judged.judgeName({ protocol: schemeOf, name });
      return other.kind === 'refuse'
        ? { isAllowed: false, rule: other.rule, reason: other.reason }
        : { isAllowed: true, rule: other.rule };
    },
    dial: async (name) => await dialRoute(context, judged, { ...route, name }),
    record(request) {
      facts.isLogged = true;
      const { startedAtMs, reason, ...more } = request;
      context.log.add({
        ...{ sandboxId, teamId, startedAtMs, durationMs: Math.max(0, Date.now() - startedAtMs) },
        ...{ protocol: schemeOf, port: destination.port, ...more },
        reason: reason ?? '',
      });
    },
  };
  try {
    signal.throwIfAborted();
    await context.interceptor.intercept(connection);
    signal.throwIfAborted();
  } finally {
    clearInterval(counting);
    signal.removeEventListener('abort', end);
    countSocket();
    stream.destroy();
  }
}
