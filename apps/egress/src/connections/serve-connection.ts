import type { Socket } from 'node:net';
import type { EgressReason } from '@soulbox/contract';
import type { EgressRecord } from '@soulbox/contract/egress-record-service';
import type { FirstBytes } from '../first-bytes/first-bytes.ts';
import { isFreeHost } from '../judge/judge-lookup.ts';
import { EgressRefusal } from '../judge/refusal.ts';
import type { PolicyEntry } from '../policies/policy-table.ts';
import type { ConnectionContext } from './context.ts';
import { dialRoute } from './dial-route.ts';
import { handOver } from './hand-over.ts';
import { openJudgedConnection } from './judged-connection.ts';
import type { JudgedConnection } from './judged-connection.ts';
import { readFirstBytes } from './read-first-bytes.ts';
import { relay } from './relay.ts';

/** What the log says about a connection, as it becomes known. */
interface Facts {
  first: FirstBytes | undefined;
  address: string;
  rule: string;
  isAllowed: boolean;
  reason: EgressReason | '';
  bytes: { sent: number; received: number };
  /** Each request was logged by itself. */
  isLogged: boolean;
}

/** Serves one connection that the usage has admitted, from its first byte to its record. Never rejects. */
export async function serveConnection(
  context: ConnectionContext,
  entry: PolicyEntry,
  client: Socket,
  destination: { readonly address: string; readonly port: number },
): Promise<void> {
  const startedAtMs = Date.now();
  const { sandboxId, teamId } = entry.current;
  using judged = openJudgedConnection(entry, destination);
  const facts: Facts = {
    ...{ first: undefined, address: destination.address, rule: '', isAllowed: false, reason: '', isLogged: false },
    bytes: { sent: 0, received: 0 },
  };
  const lost = (): void => judged.end('upstream_failed');
  client.on('error', () => undefined).once('close', lost);
  try {
    await pass(context, entry, judged, client, facts, () => client.off('close', lost));
  } catch (thrown) {
    const refusal = refusalOf(thrown, judged.signal);
    if (refusal === undefined) context.logger.error({ err: thrown, sandboxId }, 'connection failed unexpectedly');
    facts.reason = refusal?.reason ?? 'upstream_failed';
    // The name was allowed, but none of its addresses.
    if (facts.reason === 'forbidden_address' || facts.reason === 'denied') facts.isAllowed = false;
    client.resetAndDestroy();
  }
  if (!facts.isLogged) context.log.add(recordOf(facts, { sandboxId, teamId, startedAtMs, port: destination.port }));
}

async function pass(
  context: ConnectionContext,
  entry: PolicyEntry,
  judged: JudgedConnection,
  client: Socket,
  facts: Facts,
  onConnected: () => void,
): Promise<void> {
  const { signal } = judged;
  let bytes: Buffer = Buffer.alloc(0);
  if (judged.needsFirstBytes()) {
    const read = await readFirstBytes(client, { timeoutMs: context.limits.firstBytesMs, signal });
    facts.first = read.first;
    bytes = read.bytes;
  }
  const route = judged.judge(facts.first);
  facts.rule = route.rule;
  if (route.kind === 'refuse') throw new EgressRefusal(route.reason);
  if (route.kind !== 'to-address' && isFreeHost(entry.current, route.name) && entry.tunnel.isSuspect(route.name, 'A'))
    throw new EgressRefusal('tunnel_suspected');
  facts.isAllowed = true;
  if (route.kind === 'intercept') {
    onConnected();
    await handOver({ context, usage: entry.usage, judged, client, first: bytes, route, facts });
    return;
  }
  const { socket: upstream, address } = await dialRoute(context, judged, route);
  facts.address = address;
  onConnected();
  const end = (): void => {
    client.resetAndDestroy();
    upstream.resetAndDestroy();
  };
  signal.addEventListener('abort', end, { once: true });
  upstream.on('error', () => undefined);
  if (signal.aborted) end();
  const relayed = relay({
    ...{ context, judged, usage: entry.usage, client, upstream, first: bytes },
    guardedName: route.kind === 'to-name' && route.isHttp ? route.name : undefined,
  });
  await relayed.ended;
  signal.removeEventListener('abort', end);
  facts.first ??= relayed.seen();
  facts.bytes = relayed.bytes();
  signal.throwIfAborted();
}

function refusalOf(thrown: unknown, signal: AbortSignal): EgressRefusal | undefined {
  if (thrown instanceof EgressRefusal) return thrown;
  return signal.reason instanceof EgressRefusal ? signal.reason : undefined;
}

function recordOf(
  { first, address, rule, isAllowed, reason, bytes }: Facts,
  known: Pick<EgressRecord, 'sandboxId' | 'teamId' | 'startedAtMs' | 'port'>,
): EgressRecord {
  const protocol = first === undefined || first.protocol === 'other' ? 'tcp' : first.protocol;
  return {
    ...known,
    durationMs: Math.max(0, Date.now() - known.startedAtMs),
    protocol,
    name: first === undefined || first.protocol === 'other' ? '' : (first.name ?? ''),
    ...{ address, rule, isAllowed, reason, bytesSent: bytes.sent, bytesReceived: bytes.received },
    ...{ method: '', path: '' },
  };
}
