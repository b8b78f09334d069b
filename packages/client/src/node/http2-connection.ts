import { connect, constants } from 'node:http2';
import type { ClientHttp2Session, ClientSessionOptions, SecureClientSessionOptions } from 'node:http2';

/** Times in milliseconds. */
export interface KeepAlive {
  /** A connection is asked for a sign of life after so long without one. */
  readonly pingIntervalMs: number;
  /** Without an answer in this time, it is dead. */
  readonly pingTimeoutMs: number;
  /** For the connection itself, and for the first frame of the server. */
  readonly connectTimeoutMs: number;
  /** A connection without streams is closed after this time. */
  readonly idleMs: number;
}

export const defaultKeepAlive: KeepAlive = {
  pingIntervalMs: 30_000,
  pingTimeoutMs: 10_000,
  connectTimeoutMs: 10_000,
  idleMs: 120_000,
};

/** How a connection ended. `cause` is undefined for an end on purpose. */
export interface ConnectionEnd {
  readonly why: 'dead' | 'idle' | 'drained' | 'closed';
  readonly cause?: unknown;
}

export interface Http2Connection {
  readonly session: ClientHttp2Session;
  /** The number of streams that the peer allows at the same time. It may change. */
  readonly streamsMax: number;
  /** New streams may be opened: the connection is neither closing nor in doubt. */
  readonly isUsable: boolean;
  /**
   * After a long silence, for example of a machine that slept, the connection is pinged before it is used again. Returns
   * whether it is in doubt; `onChange` is called when the answer is there.
   */
  checkDoubt(): boolean;
  /** A stream that was opened at this time was given up. If nothing has arrived since, the connection is in doubt. */
  doubtSince(time: number): void;
  /** Something was received. */
  touch(): void;
  setIdle(isIdle: boolean): void;
  close(why: 'closed'): void;
}

interface ConnectionEvents {
  /** Streams may be possible again. */
  readonly onChange: () => void;
  readonly onEnd: (end: ConnectionEnd) => void;
}

/**
 * Opens one HTTP/2 connection and waits for the server's settings, which are its first frame (RFC 9113, 3.4): they name
 * its limit of streams, and prove that somebody answers. Throws an error with a `code` of Node and `syscall` `connect`:
 * nothing was sent that could take effect.
 */
export async function openHttp2Connection(
  authority: string,
  options: ClientSessionOptions | SecureClientSessionOptions,
  keepAlive: KeepAlive,
  { onChange, onEnd }: ConnectionEvents,
): Promise<Http2Connection> {
  const session = connect(authority, { ...options, settings: { enablePush: false, ...options.settings } });
  await untilSettings(session, authority, keepAlive.connectTimeoutMs);
  let end: ConnectionEnd | undefined;
  let lastSign = performance.now();
  let isDoubted = false;
  let idleTimer: NodeJS.Timeout | undefined;

  const finish = (reason: ConnectionEnd): void => {
    end ??= reason;
    if (reason.why === 'dead') session.destroy(reason.cause as Error, constants.NGHTTP2_CANCEL);
    else session.close();
  };
  const sendPing = (): void => {
    const late = setTimeout(
      () => finish({ why: 'dead', cause: noPong(keepAlive.pingTimeoutMs) }),
      keepAlive.pingTimeoutMs,
    );
    late.unref();
    try {
      session.ping((error) => {
        clearTimeout(late);
        // A ping that was canceled says nothing that the end of the session does not say.
        if (error !== null) return;
        lastSign = performance.now();
        const wasDoubted = isDoubted;
        isDoubted = false;
        if (wasDoubted) onChange();
      });
    } catch {
      // The session is closing.
      clearTimeout(late);
    }
  };
  const doubt = (): void => {
    if (isDoubted || end !== undefined) return;
    isDoubted = true;
    sendPing();
  };
  const pings = setInterval(() => {
    if (performance.now() - lastSign >= keepAlive.pingIntervalMs / 2 && !session.destroyed) sendPing();
  }, keepAlive.pingIntervalMs);
  // A connection that only waits must not keep the process alive; its streams do.
  pings.unref();

  session.on('goaway', () => (end ??= { why: 'drained' }));
  session.on('error', (cause) => (end = end?.why === 'dead' ? end : { why: 'dead', cause }));
  session.on('remoteSettings', onChange);
  session.once('close', () => {
    clearInterval(pings);
    clearTimeout(idleTimer);
    onEnd(end ?? { why: 'dead', cause: undefined });
  });

  return {
    session,
    get streamsMax() {
      return session.remoteSettings.maxConcurrentStreams ?? Infinity;
    },
    get isUsable() {
      return end === undefined && !isDoubted && !session.closed && !session.destroyed;
    },
    checkDoubt() {
      if (performance.now() - lastSign > keepAlive.pingIntervalMs + keepAlive.pingTimeoutMs) doubt();
      return isDoubted;
    },
    doubtSince(time) {
      if (lastSign < time) doubt();
    },
    touch() {
      lastSign = performance.now();
    },
    setIdle(isIdle) {
      clearTimeout(idleTimer);
      if (isIdle) idleTimer = setTimeout(() => finish({ why: 'idle' }), keepAlive.idleMs).unref();
      // Node counts references of a session as one switch.
      if (session.destroyed) return;
      if (isIdle) session.unref();
      else session.ref();
    },
    close: (why) => finish({ why }),
  };
}

async function untilSettings(session: ClientHttp2Session, authority: string, timeoutMs: number): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const fail = (error: Error): void => {
      clearTimeout(timer);
      session.destroy();
      reject(unopened(error, authority));
    };
    const closed = (): void => fail(new Error('the server closed the connection before its first frame'));
    const timer = setTimeout(() => fail(new Error(`no HTTP/2 connection within ${timeoutMs} ms`)), timeoutMs);
    session.once('error', fail);
    session.once('close', closed);
    session.once('remoteSettings', () => {
      clearTimeout(timer);
      session.off('error', fail);
      session.off('close', closed);
      resolve();
    });
  });
}

function unopened(error: Error, authority: string): Error {
  const { code = 'ECONNRESET' } = error as { code?: string };
  const message = `Cannot connect to ${authority}: ${error.message}`;
  return Object.assign(new Error(message, { cause: error }), { code, syscall: 'connect' });
}

function noPong(timeoutMs: number): Error {
  return Object.assign(new Error(`The connection is dead: no answer to a ping within ${timeoutMs} ms.`), {
    code: 'ETIMEDOUT',
  });
}
