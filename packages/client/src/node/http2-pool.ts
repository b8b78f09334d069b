import { AsyncLocalStorage } from 'node:async_hooks';
import { constants } from 'node:http2';
import type {
  ClientHttp2Stream,
  ClientSessionOptions,
  OutgoingHttpHeaders,
  SecureClientSessionOptions,
} from 'node:http2';
import type { ClientEvents } from '../core/events.ts';
import { closedError } from '../core/slots.ts';
import { createWaitingLine, defaultWaiting } from '../core/waiting-line.ts';
import type { WaitingSettings } from '../core/waiting-line.ts';
import { defaultKeepAlive, openHttp2Connection } from './http2-connection.ts';
import type { ConnectionEnd, Http2Connection, KeepAlive } from './http2-connection.ts';

export interface Http2PoolOptions {
  /** The origin of the server, such as `https://example.com`. */
  readonly authority: string;
  /** Connections at the same time. */
  readonly connectionsMax?: number;
  /** Streams of one connection. If the peer allows fewer, its limit holds. */
  readonly streamsMax?: number;
  readonly waiting?: Partial<WaitingSettings>;
  readonly keepAlive?: Partial<KeepAlive>;
  readonly session?: ClientSessionOptions | SecureClientSessionOptions;
  readonly events?: ClientEvents;
}

/** HTTP/2 connections to one server. It is also a `sessionManager` of connect-node. */
export interface Http2Pool {
  readonly authority: string;
  readonly connections: number;
  readonly streams: number;
  /**
   * Opens a stream on a connection with room, or waits for one in order of arrival. Streams of a connection that dies
   * fail with an error of code `ETIMEDOUT` or that of the network.
   */
  request(
    method: string,
    path: string,
    headers: OutgoingHttpHeaders,
    options: { endStream?: boolean; signal?: AbortSignal },
  ): Promise<ClientHttp2Stream>;
  /** Opens a connection if there is none. Rejects if the server cannot be reached, or does not speak HTTP/2. */
  open(): Promise<void>;
  /** connect-node calls it for each piece of a response. */
  notifyResponseByteRead(stream: ClientHttp2Stream): void;
  /** Ends all streams. */
  close(): void;
}

interface Member {
  readonly connection: Http2Connection;
  /** With those that are promised to callers in the line. */
  streams: number;
}

const defaultConnectionsMax = 4;
/** Most servers allow 100. */
const defaultStreamsMax = 100;

/** connect-node does not pass the signal of a call to its session manager. */
const callSignal = new AsyncLocalStorage<AbortSignal>();

/** Runs a call so that its abort ends its wait for a connection. */
export function withCallSignal<T>(signal: AbortSignal, call: () => T): T {
  return callSignal.run(signal, call);
}

export function createHttp2Pool(options: Http2PoolOptions): Http2Pool {
  const { authority, events, connectionsMax = defaultConnectionsMax, streamsMax = defaultStreamsMax } = options;
  const keepAlive = { ...defaultKeepAlive, ...options.keepAlive };
  const members = new Set<Member>();
  const bySession = new WeakMap<object, Member>();
  let opening = 0;
  let isClosed = false;
  const line = createWaitingLine<Member>(authority, { ...defaultWaiting, ...options.waiting }, (waiting) => {
    events?.emit({ target: authority, type: 'wait', waiting });
  });

  const hasRoom = ({ connection, streams }: Member): boolean =>
    streams < Math.min(streamsMax, connection.streamsMax) && !connection.checkDoubt() && connection.isUsable;
  const findRoom = (): Member | undefined => [...members].find(hasRoom);
  const hold = (member: Member): void => {
    member.streams += 1;
    member.connection.setIdle(false);
  };
  const release = (member: Member): void => {
    member.streams -= 1;
    if (member.streams === 0) member.connection.setIdle(true);
    serveLine();
  };
  /** Gives free streams to those that wait, and opens a connection for the rest. */
  const serveLine = (): void => {
    while (line.size > 0) {
      const member = findRoom();
      if (member === undefined) {
        // One at a time: the next is opened when this one is there and not enough.
        if (opening === 0 && mayOpen()) void open();
        return;
      }
      hold(member);
      line.serve(member);
    }
  };
  /** Connections that the server is closing last as long as their streams, so they count less, but are not unlimited. */
  const mayOpen = (): boolean => {
    const usable = [...members].filter(({ connection }) => connection.isUsable).length;
    return !isClosed && usable < connectionsMax && members.size < 2 * connectionsMax;
  };

  const open = async (): Promise<void> => {
    opening += 1;
    try {
      const owner: { member?: Member } = {};
      const connection = await openHttp2Connection(authority, options.session ?? {}, keepAlive, {
        onChange: serveLine,
        onEnd: (end) => {
          if (owner.member !== undefined) remove(owner.member, end);
        },
      });
      opening -= 1;
      const member = { connection, streams: 0 };
      owner.member = member;
      members.add(member);
      bySession.set(connection.session, member);
      events?.emit({ target: authority, type: 'connect', connections: members.size });
      if (isClosed) connection.session.destroy();
      else if (connection.session.destroyed) remove(member, { why: 'dead' });
      else connection.setIdle(line.size === 0);
      serveLine();
    } catch (error) {
      opening -= 1;
      // Those that wait for a stream of another connection go on waiting for it.
      if (members.size === 0) line.rejectAll(error as Error);
    }
  };

  const remove = (member: Member, { why, cause }: ConnectionEnd): void => {
    if (!members.delete(member)) return;
    const facts = { target: authority, connections: members.size };
    events?.emit(why === 'dead' ? { ...facts, type: 'dead', cause } : { ...facts, type: 'close', why });
    serveLine();
  };

  const reserve = async (signal: AbortSignal | undefined): Promise<Member> => {
    for (;;) {
      if (isClosed) throw closedError(authority);
      // Nobody passes those that wait already.
      const free = line.size === 0 ? findRoom() : undefined;
      if (free !== undefined) {
        hold(free);
        return free;
      }
      const joined = line.join(signal);
      serveLine();
      const member = await joined;
      if (member.connection.isUsable) return member;
      release(member);
    }
  };

  return {
    authority,
    get connections() {
      return members.size;
    },
    get streams() {
      let sum = 0;
      for (const { streams } of members) sum += streams;
      return sum;
    },
    async request(method, path, headers, { endStream, signal = callSignal.getStore() }) {
      const member = await reserve(signal);
      let stream: ClientHttp2Stream;
      try {
        stream = member.connection.session.request(
          { ...headers, ':method': method, ':path': path },
          endStream === undefined ? {} : { endStream },
        );
      } catch (error) {
        release(member);
        throw error;
      }
      const openedAt = performance.now();
      stream.once('response', () => member.connection.touch());
      stream.once('close', () => {
        if (stream.rstCode !== constants.NGHTTP2_NO_ERROR) member.connection.doubtSince(openedAt);
        release(member);
      });
      return stream;
    },
    async open() {
      release(await reserve(undefined));
    },
    notifyResponseByteRead(stream) {
      if (stream.session !== undefined) bySession.get(stream.session)?.connection.touch();
    },
    close() {
      isClosed = true;
      line.rejectAll(closedError(authority));
      for (const { connection } of members) {
        connection.close('closed');
        connection.session.destroy();
      }
    },
  };
}
