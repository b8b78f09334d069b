import type { Duplex } from 'node:stream';
import { SoulBoxError } from '@soulbox/base';
import { sendRequest } from '@soulbox/client/node';
import type { BoundedAnswer } from '@soulbox/client/node';

export interface PortCall {
  readonly method: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | string;
  readonly timeoutMs: number;
  /** The response is hostile; anything above this limit is an error. */
  readonly maxAnswerBytes: number;
}

/** Sends one HTTP/1.1 request over a connection that was dialed for it. Throws `sandbox_unreachable`. */
export async function callPort(connection: Duplex, { headers, body, ...call }: PortCall): Promise<BoundedAnswer> {
  try {
    return await sendRequest({
      ...call,
      over: { connection },
      headers: { host: 'sandbox', ...headers, connection: 'close' },
      ...(body === undefined ? {} : { body: Buffer.from(body) }),
    });
  } catch (cause) {
    throw new SoulBoxError('sandbox_unreachable', 'The sandbox of the function did not respond.', { cause });
  }
}
