import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { isNodeError, reasons, SoulBoxError } from '@soulbox/base';
import type { Reason } from '@soulbox/base';
import type { HttpService } from './http-call.ts';

export interface HttpRead {
  /** With its query. */
  readonly path: string;
  readonly signal: AbortSignal;
  /** A longer body is refused, with `tooLong`, before it is read. */
  readonly maxBytes: number;
  readonly tooLong: () => Error;
}

export interface HttpBytes {
  /** By names in lower case. */
  readonly headers: ReadonlyMap<string, string>;
  /** In memory of its own. */
  readonly bytes: Buffer;
}

/** How long a call waits for a service that is being started. */
const startMs = 15_000;
const pauseMs = 25;
/** Of the status line and the headers. */
const headMaxBytes = 32 * 1024;
/** Of the body of an error. */
const errorMaxBytes = 16 * 1024;
const endOfHead = Buffer.from('\r\n\r\n', 'latin1');

/**
 * The whole body of `GET PATH`. The kernel writes it into its place at once, without pieces that are copied: `node:http`
 * needs a buffer, an event and a copy for each 64 KiB. Throws the error of the service, and `service.unavailable` if it
 * does not answer or breaks off.
 */
export async function readFromHttpService(call: HttpRead, service: HttpService): Promise<HttpBytes> {
  const giveUpAt = performance.now() + startMs;
  for (;;) {
    call.signal.throwIfAborted();
    try {
      return await readOnce(call, service);
    } catch (thrown) {
      call.signal.throwIfAborted();
      if (thrown instanceof SoulBoxError) throw thrown;
      const code = isNodeError(thrown) ? thrown.code : undefined;
      const isAway = code === 'ECONNREFUSED' || code === 'ENOENT';
      if (!isAway || performance.now() > giveUpAt)
        throw new SoulBoxError(service.unavailable, `The ${service.name} does not answer. Retry in a moment.`, {
          cause: thrown,
        });
      service.wake();
      await sleep(pauseMs, undefined, { signal: call.signal }).catch(() => undefined);
    }
  }
}

/** What arrives, in its place. */
interface Arrival {
  /** Where the next bytes go. Never empty. */
  readonly room: () => Buffer;
  /** So many have arrived there. Returns whether all of the answer is here. */
  readonly take: (count: number) => boolean;
  /** The connection has ended. Throws if the answer is cut. */
  readonly end: () => HttpBytes;
}

async function readOnce(call: HttpRead, service: HttpService): Promise<HttpBytes> {
  const { path, signal } = call;
  const { socketPath, name, silenceMs } = service;
  const arrival = createArrival(call, name);
  const { promise, resolve, reject } = Promise.withResolvers<HttpBytes>();
  const finish = (): void => {
    try {
      resolve(arrival.end());
    } catch (error) {
      reject(error);
    }
    socket.destroy();
  };
  const socket: Socket = connect({
    path: socketPath,
    onread: {
      buffer: arrival.room,
      callback(count) {
        try {
          if (arrival.take(count)) finish();
        } catch (error) {
          reject(error);
          socket.destroy();
        }
        return true;
      },
    },
  });
  const abort = (): void => {
    reject(signal.reason);
    socket.destroy();
  };
  signal.addEventListener('abort', abort, { once: true });
  socket
    .on('error', reject)
    .once('end', finish)
    .once('close', () => reject(new Error(`The ${name} broke off.`)));
  if (silenceMs > 0)
    socket.setTimeout(silenceMs, () => {
      reject(new Error(`The ${name} is silent.`));
      socket.destroy();
    });
  // With version 1.0, the end of an answer without a length is the end of the connection.
  socket.write(`GET ${path} HTTP/1.0\r\nhost: service\r\n\r\n`);
  try {
    return await promise;
  } finally {
    signal.removeEventListener('abort', abort);
    socket.destroy();
  }
}

function createArrival({ maxBytes, tooLong }: HttpRead, name: string): Arrival {
  const head = Buffer.alloc(headMaxBytes);
  /** Of `head`, and then of `body`. */
  let received = 0;
  let parsed: { readonly status: number; readonly headers: ReadonlyMap<string, string> } | undefined;
  let body = head;
  let length: number | undefined;
  const begin = (end: number): void => {
    parsed = parseHead(head.subarray(0, end).toString('latin1'), name);
    const isError = parsed.status >= 400;
    length = lengthOf(parsed.headers, name);
    if (!isError && length === undefined) throw new Error(`The ${name} sent no length.`);
    if (!isError && length !== undefined && length > maxBytes) throw tooLong();
    // One byte more, to see that there are no more, and because an empty buffer cannot be read into.
    body = isError ? Buffer.alloc(errorMaxBytes + 1) : Buffer.allocUnsafeSlow((length ?? 0) + 1);
    const rest = head.subarray(end + endOfHead.length, received);
    if (rest.length >= body.length) throw new Error(`The ${name} sent more than it said.`);
    rest.copy(body);
    received = rest.length;
  };
  return {
    room: () => body.subarray(Math.min(received, body.length - 1)),
    take(count) {
      received += count;
      if (parsed === undefined) {
        const end = head.subarray(0, received).indexOf(endOfHead);
        if (end < 0 && received >= headMaxBytes) throw new Error(`The ${name} sent a head that does not end.`);
        if (end < 0) return false;
        begin(end);
      }
      if (received >= body.length) throw new Error(`The ${name} sent more than it said.`);
      return received === length;
    },
    end() {
      if (parsed === undefined) throw new Error(`The ${name} sent no answer.`);
      if (length !== undefined && received !== length)
        throw new Error(`The answer has ${received} bytes and not ${length}.`);
      const bytes = body.subarray(0, received);
      if (parsed.status >= 400) throw errorOf(bytes, parsed.status, name);
      return { headers: parsed.headers, bytes };
    },
  };
}

function parseHead(text: string, name: string): { status: number; headers: Map<string, string> } {
  const [first = '', ...lines] = text.split('\r\n');
  const status = Number(/^HTTP\/1\.[01] ([2-5]\d\d)( |$)/.exec(first)?.[1]);
  if (!Number.isInteger(status) || (status >= 300 && status < 400))
    throw new Error(`The ${name} sent no answer of HTTP.`);
  const headers = new Map<string, string>();
  for (const line of lines) {
    const colon = line.indexOf(':');
    if (colon > 0) headers.set(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim());
  }
  return { status, headers };
}

function lengthOf(headers: ReadonlyMap<string, string>, name: string): number | undefined {
  const text = headers.get('content-length');
  if (text === undefined) return undefined;
  if (!/^\d{1,15}$/.test(text)) throw new Error(`The ${name} sent a length that is none.`);
  return Number(text);
}

function errorOf(bytes: Buffer, status: number, name: string): SoulBoxError {
  try {
    const { reason, message } = JSON.parse(bytes.toString()) as { reason: string; message: string };
    if (Object.hasOwn(reasons, reason)) return new SoulBoxError(reason as Reason, message);
  } catch {
    // An answer that is no error of ours.
  }
  return new SoulBoxError('internal', `The ${name} returned ${status}.`);
}
