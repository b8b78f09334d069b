import { request } from 'node:http';
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { boundInterimAnswers, createByteCollector, SoulBoxError } from '@soulbox/base';

export interface PortCall {
  readonly method: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | string;
  readonly timeoutMs: number;
  /** The response is hostile; anything above this limit is cut off. */
  readonly maxAnswerBytes: number;
}

export interface PortAnswer {
  readonly status: number;
  readonly rawHeaders: readonly string[];
  readonly body: Buffer;
}

/** Sends one HTTP/1.1 request over a connection that was dialed for it. Throws `sandbox_unreachable`. */
export async function callPort(connection: Duplex, call: PortCall): Promise<PortAnswer> {
  boundInterimAnswers();
  try {
    return await new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`no response within ${call.timeoutMs} ms`)), call.timeoutMs);
      const settle = (answer: PortAnswer): void => {
        clearTimeout(timer);
        resolve(answer);
      };
      connection.on('error', reject);
      const body = call.body === undefined ? undefined : Buffer.from(call.body);
      const outgoing = request({
        createConnection: () => connection,
        method: call.method,
        path: call.path,
        headers: {
          host: 'sandbox',
          ...call.headers,
          connection: 'close',
          ...(body === undefined ? {} : { 'content-length': body.length }),
        },
      });
      outgoing.on('error', reject);
      outgoing.on('response', (incoming) => {
        readBody(incoming, call).then((bytes) => {
          settle({ status: incoming.statusCode ?? 0, rawHeaders: incoming.rawHeaders, body: bytes });
        }, reject);
      });
      outgoing.end(body);
    });
  } catch (cause) {
    throw new SoulBoxError('sandbox_unreachable', 'The sandbox of the function did not respond.', { cause });
  } finally {
    connection.destroy();
  }
}

async function readBody(incoming: IncomingMessage, { maxAnswerBytes }: PortCall): Promise<Buffer> {
  const body = createByteCollector(maxAnswerBytes);
  for await (const chunk of incoming as AsyncIterable<Buffer>) {
    if (!body.add(chunk))
      throw new Error(`the response is larger than ${maxAnswerBytes} bytes, or arrives in too many pieces`);
  }
  return body.bytes();
}
