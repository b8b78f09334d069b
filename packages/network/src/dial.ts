import { closeSync } from 'node:fs';
import { Socket } from 'node:net';
import { SoulBoxError } from '@soulbox/base';
import { addressFamily, isRefusedByLoopback } from '@soulbox/linux/sockets';
import { inner } from './address-plan.ts';
import { createSocketIn, openNamespaceFd } from './enter-namespace.ts';

/** A sandbox answers from its own memory. A full accept queue or a packet filter inside must not hold up a caller. */
const connectTimeoutMs = 5_000;
/** Each waiting dial uses a descriptor of the host. A sandbox with a full queue must not use them all up. */
const maxWaitingDials = 256;

/**
 * Loopback first, because most services listen there and a refusal comes back at once. The last target is for services
 * that listen on eth0 only.
 */
const targets = [
  { host: '127.0.0.1', family: addressFamily.v4 },
  { host: '::1', family: addressFamily.v6 },
  { host: inner.address, family: addressFamily.v4 },
] as const;

/** An open network namespace. The opener closes it. */
export interface Namespace {
  /**
   * Connects to a port inside, whether the service listens on 127.0.0.1, [::1] or eth0; they are tried in this order.
   * The socket has no delay set and belongs to the caller. Throws port_closed if nothing accepts within 5 s,
   * sandbox_unreachable after close, limit_exceeded if 256 dials are already waiting, and the signal's reason on abort.
   */
  dial(port: number, options?: { signal?: AbortSignal }): Promise<Socket>;
  /**
   * Whether 127.0.0.1 refuses connections to a port now. Costs a tenth of a failed `dial`. True after close. Throws
   * `SystemCallError` if the kernel gives no socket.
   */
  refuses(port: number): boolean;
  /** Connected sockets stay open. Safe to repeat. */
  close(): void;
}

/**
 * Opens a namespace by path, such as `/proc/PID/ns/net`, to dial into it. Keeps the namespace alive. Throws
 * sandbox_unreachable if there is none, or if it is the host's own.
 */
export function openNamespace(path: string): Namespace {
  let fd: number | undefined = openNamespaceFd(path);
  let waiting = 0;
  return {
    dial: async (port, options = {}) => {
      if (waiting >= maxWaitingDials)
        throw new SoulBoxError(
          'limit_exceeded',
          `${maxWaitingDials} connections to the sandbox are already being opened. Retry.`,
        );
      waiting += 1;
      try {
        return await dialFirst(() => fd, port, options.signal);
      } finally {
        waiting -= 1;
      }
    },
    refuses: (port) => {
      if (fd === undefined) return true;
      const socket = createSocketIn(fd, addressFamily.v4);
      try {
        return isRefusedByLoopback(socket, port);
      } finally {
        closeSync(socket);
      }
    },
    close: () => {
      if (fd !== undefined) closeSync(fd);
      fd = undefined;
    },
  };
}

async function dialFirst(findFd: () => number | undefined, port: number, signal?: AbortSignal): Promise<Socket> {
  if (!Number.isInteger(port) || port < 1 || port > 65_535)
    throw new SoulBoxError('bad_request', `Port ${port} is not a number from 1 to 65535.`);
  signal?.throwIfAborted();
  const deadline = new AbortController();
  const timer = setTimeout(() => deadline.abort(), connectTimeoutMs);
  const limit = signal === undefined ? deadline.signal : AbortSignal.any([signal, deadline.signal]);
  let cause: unknown;
  try {
    for (const target of targets) {
      if (deadline.signal.aborted) break;
      const fd = findFd();
      if (fd === undefined) throw new SoulBoxError('sandbox_unreachable', 'The sandbox has ended.');
      try {
        return await connect(createSocketIn(fd, target.family), target.host, port, limit);
      } catch (error) {
        // A kernel without IPv6 rejects that address family. The next target may still work.
        if (error instanceof SoulBoxError) throw error;
        signal?.throwIfAborted();
        cause = error;
      }
    }
  } finally {
    clearTimeout(timer);
  }
  const what = deadline.signal.aborted ? `did not accept within ${connectTimeoutMs / 1000} s` : 'is closed';
  throw new SoulBoxError('port_closed', `Port ${port} in the sandbox ${what}.`, { cause });
}

async function connect(fd: number, host: string, port: number, signal: AbortSignal): Promise<Socket> {
  // `manualStart` (not in the types) prevents the constructor from reading a socket that is not connected yet.
  const options = { fd, manualStart: true };
  let socket: Socket;
  try {
    socket = new Socket(options);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  return await new Promise<Socket>((resolve, reject) => {
    const settle = (error?: Error): void => {
      signal.removeEventListener('abort', onAbort);
      socket.off('error', settle);
      socket.off('connect', settle);
      if (error === undefined) {
        resolve(socket);
        return;
      }
      // Another error may follow the one that ended the wait.
      socket.on('error', () => undefined);
      socket.destroy();
      reject(error);
    };
    const onAbort = (): void => settle(new Error('aborted'));
    signal.addEventListener('abort', onAbort, { once: true });
    socket.once('error', settle);
    socket.once('connect', settle);
    socket.setNoDelay(true);
    socket.connect({ host, port });
    if (signal.aborted) onAbort();
  });
}
