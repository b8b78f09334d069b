import { connect as connectPlain, isIP } from 'node:net';
import type { Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { SlowLevelError } from '../level.ts';
import { createReplyParser, ReplyError } from './reply-parser.ts';
import type { Reply } from './reply-parser.ts';
import type { RedisPlace } from './redis-url.ts';

export interface RedisCredentials {
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  /** Certificates of authorities that may have signed the server's, in PEM. Absent: those of Node. */
  readonly ca?: string | undefined;
}

export interface ConnectionOptions {
  readonly place: RedisPlace;
  /** Called for each connection, so that rotated credentials take effect. */
  readonly credentials: () => Promise<RedisCredentials>;
  readonly valueMaxBytes: number;
  readonly limits: RedisLimits;
}

/** Milliseconds. */
export interface RedisLimits {
  /** To connect, with TLS and authentication. Nobody waits for it. */
  readonly connectMs: number;
  /** Between bytes of replies, while one is awaited. */
  readonly silenceMs: number;
  /** For a whole command. */
  readonly commandMs: number;
}

/** Commands that wait for their replies. More are refused. */
const pendingMax = 64;
/** What waits to be sent. More is refused: a slow server must not fill our memory. */
const unsentMaxBytes = 32 * 1024 * 1024;
/** The process itself was busy, or got no CPU, for more than this time. */
const ownStallMs = 30;
const firstPauseMs = 100;
const maxPauseMs = 10_000;

/** One connection, which is opened again after faults. Commands are sent at once and answered in their order. */
export interface RedisConnection extends Disposable {
  /** Rejects at once while there is no connection, and with a `SlowLevelError` after its limits. */
  send(...command: readonly (string | Buffer)[]): Promise<Reply>;
}

interface Pending {
  readonly resolve: (reply: Reply) => void;
  readonly reject: (fault: Error) => void;
  readonly until: number;
}

/** A reply to a command that did not come in time ends the connection: those after it would be late too. */
export function openRedisConnection({ place, credentials, valueMaxBytes, limits }: ConnectionOptions): RedisConnection {
  let socket: Socket | undefined;
  let isReady = false;
  let isClosed = false;
  let lastFault = new Error('There is no connection yet.');
  let pauseMs = firstPauseMs;
  const pending: Pending[] = [];
  let lastByteAt = 0;
  let again: NodeJS.Timeout | undefined;

  const drop = (from: Socket, fault: Error): void => {
    from.destroy();
    if (socket !== from) return;
    socket = undefined;
    isReady = false;
    lastFault = fault;
    for (const { reject } of pending.splice(0)) reject(fault);
    later();
  };
  const later = (): void => {
    if (isClosed) return;
    again = setTimeout(() => void open(), pauseMs).unref();
    pauseMs = Math.min(maxPauseMs, 2 * pauseMs);
  };
  const open = async (): Promise<void> => {
    let found: RedisCredentials;
    try {
      found = await credentials();
    } catch (fault) {
      lastFault = fault as Error;
      later();
      return;
    }
    if (isClosed) return;
    const { host, port, usesTls } = place;
    const { ca } = found;
    const opened = usesTls
      ? connectTls({
          ...{ host, port },
          ...(isIP(host) === 0 ? { servername: host } : {}),
          ...(ca === undefined ? {} : { ca }),
        })
      : connectPlain({ host, port });
    socket = opened;
    const end = (fault: Error): void => drop(opened, fault);
    const slow = setTimeout(
      () => end(new SlowLevelError('The server did not accept a connection in time.')),
      limits.connectMs,
    );
    opened.setNoDelay(true).setKeepAlive(true, 30_000).unref();
    opened.on('error', end).on('close', () => {
      clearTimeout(slow);
      end(new Error('The server has closed the connection.'));
    });
    const parse = createReplyParser(valueMaxBytes, (reply) => {
      const first = pending.shift();
      if (first === undefined) throw new Error('The server has sent a reply to nothing.');
      first.resolve(reply);
    });
    opened.on('data', (bytes: Buffer) => {
      lastByteAt = performance.now();
      try {
        parse(bytes);
      } catch (fault) {
        end(fault as Error);
      }
    });
    opened.once(usesTls ? 'secureConnect' : 'connect', () => {
      greet(write, found, place).then(
        () => {
          clearTimeout(slow);
          isReady = true;
          pauseMs = firstPauseMs;
        },
        (fault: unknown) => end(fault as Error),
      );
    });
  };
  const write = async (command: readonly (string | Buffer)[]): Promise<Reply> => {
    const to = socket;
    if (to === undefined) throw lastFault;
    if (pending.length >= pendingMax || to.writableLength > unsentMaxBytes)
      throw new SlowLevelError('Too many commands wait for the server.');
    const { promise, resolve, reject } = Promise.withResolvers<Reply>();
    const now = performance.now();
    if (pending.length === 0) lastByteAt = now;
    pending.push({ resolve, reject, until: now + limits.commandMs });
    watch();
    to.cork();
    to.write(`*${command.length}\r\n`);
    for (const part of command) {
      to.write(`$${Buffer.byteLength(part)}\r\n`);
      to.write(part);
      to.write('\r\n');
    }
    to.uncork();
    return await promise;
  };
  // One timer for all commands, while there are any.
  let watching: NodeJS.Timeout | undefined;
  const everyMs = Math.max(5, Math.floor(limits.silenceMs / 8));
  const watch = (): void => {
    if (watching !== undefined) return;
    let lookedAt = performance.now();
    watching = setInterval(() => {
      const [first] = pending;
      if (first === undefined || socket === undefined) {
        clearInterval(watching);
        watching = undefined;
        return;
      }
      const now = performance.now();
      // It was this process that did not get to read.
      if (now - lookedAt > everyMs + ownStallMs) lastByteAt = now;
      lookedAt = now;
      if (now > first.until || now - lastByteAt > limits.silenceMs)
        drop(socket, new SlowLevelError('The server did not answer in time.'));
    }, everyMs);
  };
  void open();
  return {
    async send(...command) {
      if (!isReady) throw lastFault;
      const reply = await write(command);
      if (reply instanceof ReplyError) throw reply;
      return reply;
    },
    [Symbol.dispose]() {
      isClosed = true;
      clearTimeout(again);
      clearInterval(watching);
      watching = undefined;
      lastFault = new Error('The connection is closed.');
      if (socket !== undefined) drop(socket, lastFault);
    },
  };
}

async function greet(
  send: (command: readonly string[]) => Promise<Reply>,
  { username, password }: RedisCredentials,
  { database }: RedisPlace,
): Promise<void> {
  const commands: string[][] = [];
  if (password !== undefined) commands.push(['AUTH', ...(username === undefined ? [] : [username]), password]);
  if (database !== 0) commands.push(['SELECT', String(database)]);
  // Shows whether it needs a password that was not given.
  commands.push(['PING']);
  for (const command of commands) {
    const reply = await send(command);
    if (reply instanceof ReplyError) throw reply;
  }
}
