import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { SoulBoxError } from '@soulbox/base';
import { errorFromAnswer } from './http-call.ts';
import type { HttpService } from './http-call.ts';
import { reconnect } from './reconnect.ts';

/** Of the first lines of a response. */
const headMaxBytes = 4000;
/** Of an error. */
const errorMaxBytes = 16 * 1024;

export interface HttpRead {
  /** With its query. */
  readonly path: string;
  readonly signal: AbortSignal;
  /** A longer body is refused before it is read. */
  readonly maxBytes: number;
  /** For the body, if it fits. Default: a new one. */
  readonly into?: Buffer | undefined;
}

export interface HttpContent {
  /** In lower case. */
  readonly headers: ReadonlyMap<string, string>;
  /** A part of `into`, or a buffer of its own. */
  readonly body: Buffer;
}

/**
 * Reads the body of a GET into one buffer. Node's own client makes a buffer of 64 KiB for each piece of a body: for bodies
 * of 1 MiB, the collection of this garbage takes more time than everything else. Throws the error of the service,
 * `storage_damaged` for a body that is too large or without a length, and `unavailable` for one that breaks off.
 */
export async function readFromHttpService(read: HttpRead, service: HttpService): Promise<HttpContent> {
  read.signal.throwIfAborted();
  const answer = await reconnect(service, read.signal, async () => await readOnce(read, service));
  if (answer.statusCode < 400) return answer;
  throw errorFromAnswer(service.name, answer.statusCode, answer.body.toString());
}

interface Answer extends HttpContent {
  readonly statusCode: number;
}

async function readOnce(read: HttpRead, { socketPath, name, silenceMs }: HttpService): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const receiver = createReceiver(read);
  const socket: Socket = connect({
    path: socketPath,
    onread: {
      buffer: () => receiver.target(),
      callback(count) {
        try {
          receiver.take(count);
        } catch (thrown) {
          socket.destroy(thrown as Error);
          return false;
        }
        if (receiver.isWhole()) socket.destroy();
        return true;
      },
    },
  });
  const abort = (): void => void socket.destroy(new Error('The caller has left.'));
  read.signal.addEventListener('abort', abort, { once: true });
  socket.on('error', reject);
  socket.once('close', () => {
    read.signal.removeEventListener('abort', abort);
    const answer = receiver.end();
    if (answer === undefined) reject(new Error(`The ${name} broke off.`));
    else resolve(answer);
  });
  if (silenceMs > 0) socket.setTimeout(silenceMs, () => socket.destroy(new Error(`The ${name} is silent.`)));
  // With this version a body without a length ends with the connection, and has no other framing.
  socket.write(`GET ${read.path} HTTP/1.0\r\nconnection: close\r\n\r\n`);
  return await promise;
}

interface Receiver {
  /** Where the next bytes go. Never empty. */
  target(): Buffer;
  take(count: number): void;
  /** Whether a body of known length is complete. */
  isWhole(): boolean;
  /** Undefined: it is incomplete. */
  end(): Answer | undefined;
}

interface Body {
  readonly statusCode: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly buffer: Buffer;
  /** Absent: until the connection ends. */
  readonly length: number | undefined;
}

function createReceiver({ maxBytes, into }: HttpRead): Receiver {
  const head = Buffer.allocUnsafe(headMaxBytes);
  const rest = Buffer.allocUnsafe(1);
  let headBytes = 0;
  let body: Body | undefined;
  let received = 0;

  const open = (end: number): Body => {
    const { statusCode, headers } = parseHead(head.toString('latin1', 0, end));
    const length = headers.has('content-length') ? Number(headers.get('content-length')) : undefined;
    const isError = statusCode >= 400;
    const most = isError ? errorMaxBytes : maxBytes;
    if (length === undefined ? !isError : !Number.isSafeInteger(length) || length < 0 || length > most)
      throw new SoulBoxError('storage_damaged', 'An object is too large, or has no length.');
    const bytes = length ?? most;
    const fits = !isError && into !== undefined && into.length >= bytes;
    return { statusCode, headers, length, buffer: fits ? into.subarray(0, bytes) : Buffer.allocUnsafeSlow(bytes) };
  };

  return {
    target() {
      if (body === undefined) return head.subarray(headBytes);
      return received < body.buffer.length ? body.buffer.subarray(received) : rest;
    },
    take(count) {
      if (body !== undefined) {
        if (received === body.buffer.length) throw new Error('The answer is longer than it said.');
        received += count;
        return;
      }
      headBytes += count;
      const end = head.subarray(0, headBytes).indexOf('\r\n\r\n');
      if (end < 0 && headBytes === head.length) throw new Error('The answer is not HTTP.');
      if (end < 0) return;
      body = open(end);
      const beginning = head.subarray(end + 4, headBytes);
      if (beginning.length > body.buffer.length) throw new Error('The answer is longer than it said.');
      beginning.copy(body.buffer);
      received = beginning.length;
    },
    isWhole: () => body !== undefined && received === body.length,
    end() {
      if (body === undefined || (body.length !== undefined && received < body.length)) return undefined;
      return { statusCode: body.statusCode, headers: body.headers, body: body.buffer.subarray(0, received) };
    },
  };
}

function parseHead(text: string): { readonly statusCode: number; readonly headers: ReadonlyMap<string, string> } {
  const [first = '', ...lines] = text.split('\r\n');
  const status = /^HTTP\/1\.[01] (\d{3})(?: |$)/.exec(first)?.[1];
  if (status === undefined) throw new Error('The answer is not HTTP.');
  const headers = lines.map((line): [string, string] => {
    const at = line.indexOf(':');
    return [line.slice(0, Math.max(0, at)).toLowerCase(), line.slice(at + 1).trim()];
  });
  return { statusCode: Number(status), headers: new Map(headers) };
}
