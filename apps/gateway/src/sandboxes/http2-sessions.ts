import { connect } from 'node:http2';
import type { ClientHttp2Session, ClientHttp2Stream, OutgoingHttpHeaders } from 'node:http2';
import { Socket } from 'node:net';
import type { Dial } from '@soulbox/contract';
import { connectionWindowBytes, sessionMemoryMib, streamWindowBytes } from '../exchange/protocol-limits.ts';

/** Below the 100 that most servers allow: a call must never queue behind streams that do not end. */
const maxStreamsPerSession = 64;

/** The h2c connections to one sandbox, for gRPC. Only end-to-end HTTP/2 preserves its trailers and both directions. */
export interface Http2Sessions {
  /** Opens a stream on a session that has capacity. Throws the errors of `dial`. */
  request(port: number, headers: OutgoingHttpHeaders, options: { endStream: boolean }): Promise<ClientHttp2Stream>;
  /** Closes every session with its streams. */
  destroy(): void;
}

interface Entry {
  readonly session: ClientHttp2Session;
  streams: number;
  idle: NodeJS.Timeout | undefined;
}

export function createHttp2Sessions(dial: Dial, idleTimeoutMs: number): Http2Sessions {
  const byPort = new Map<number, Set<Entry>>();
  const opening = new Map<number, Promise<Entry>>();

  const findRoom = (port: number): Entry | undefined => {
    for (const entry of byPort.get(port) ?? []) {
      const { session } = entry;
      if (!session.closed && !session.destroyed && entry.streams < maxStreamsPerSession) return entry;
    }
    return undefined;
  };

  const open = async (port: number): Promise<Entry> => {
    const connection = await dial(port);
    if (connection instanceof Socket) connection.setNoDelay(true);
    const session = connect('http://sandbox', {
      createConnection: () => connection,
      settings: { enablePush: false, initialWindowSize: streamWindowBytes },
      maxSessionMemory: sessionMemoryMib,
    });
    session.once('connect', () => session.setLocalWindowSize(connectionWindowBytes));
    const entry: Entry = { session, streams: 0, idle: undefined };
    const entries = byPort.get(port) ?? new Set();
    byPort.set(port, entries.add(entry));
    // The streams of the session report the error, each to its own client.
    session.on('error', () => undefined);
    session.on('close', () => {
      clearTimeout(entry.idle);
      entries.delete(entry);
      if (entries.size === 0) byPort.delete(port);
    });
    return entry;
  };

  /** Concurrent calls share one new connection instead of opening one each. */
  const openShared = async (port: number): Promise<Entry> => {
    const pending = opening.get(port) ?? open(port).finally(() => opening.delete(port));
    opening.set(port, pending);
    return await pending;
  };

  const reserve = async (port: number): Promise<Entry> => {
    let entry = findRoom(port) ?? (await openShared(port));
    while (entry.streams >= maxStreamsPerSession) entry = findRoom(port) ?? (await openShared(port));
    return entry;
  };

  const release = (entry: Entry): void => {
    entry.streams -= 1;
    if (entry.streams === 0) entry.idle = setTimeout(() => entry.session.close(), idleTimeoutMs);
  };

  return {
    async request(port, headers, options) {
      const entry = await reserve(port);
      clearTimeout(entry.idle);
      const stream = entry.session.request(headers, options);
      entry.streams += 1;
      stream.on('error', () => undefined);
      stream.once('close', () => release(entry));
      return stream;
    },
    destroy() {
      for (const entry of [...byPort.values()].flatMap((entries) => [...entries])) entry.session.destroy();
    },
  };
}
