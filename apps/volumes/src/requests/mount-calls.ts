import type { IncomingMessage, ServerResponse } from 'node:http';
import { SoulBoxError } from '@soulbox/base';
import type { Negotiated } from '@soulbox/fuse';
import { z } from 'zod';
import { orderBytesMax } from '../limits.ts';
import type { Mounts } from '../mounts/serve-mounts.ts';
import { textOf } from './parse.ts';
import type { Request } from './parse.ts';

const bytesSchema = z.number().int().nonnegative().optional();

/** The body of the order of the runner to serve a mount. */
const orderSchema = z.object({
  /** Finds the device, which was sent before. */
  ticket: z.string().regex(/^[0-9a-f]{32}$/),
  negotiated: z.object({
    minor: z.number().int(),
    maxWriteBytes: z
      .number()
      .int()
      .min(4096)
      .max(1024 * 1024),
    flags: z.array(z.string()),
  }),
  isTakeover: z.boolean(),
  isReadOnly: z.boolean(),
  sizeBytes: bytesSchema,
  teamBytes: bytesSchema,
});

const mountIds = /^[a-z0-9-]{1,100}$/;

/** `take` returns the descriptor that was sent with a ticket. Throws `bad_request`. */
export async function serveMount(
  { place, query }: Request,
  request: IncomingMessage,
  { mounts, take }: { readonly mounts: Mounts; readonly take: (ticket: Uint8Array) => number | undefined },
): Promise<void> {
  const mount = textOf(query, 'mount');
  if (!mountIds.test(mount)) throw new SoulBoxError('bad_request', 'The mount of the call is no id.');
  const order = parseOrder(await readBody(request));
  const fd = take(Buffer.from(order.ticket, 'hex'));
  if (fd === undefined)
    throw new SoulBoxError('bad_request', 'The device of the mount has not arrived. Send it again.');
  const { isTakeover, isReadOnly, sizeBytes, teamBytes } = order;
  // Flags of another version are of no use here.
  const negotiated = order.negotiated as Negotiated;
  await mounts.serve({ place, mount, fd, negotiated, isTakeover, isReadOnly, limits: { sizeBytes, teamBytes } });
}

function parseOrder(text: string): z.infer<typeof orderSchema> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new SoulBoxError('bad_request', 'The body of the call is no JSON.');
  }
  const { data, error } = orderSchema.safeParse(value);
  if (data === undefined) throw new SoulBoxError('bad_request', z.prettifyError(error));
  return data;
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Uint8Array>) {
    bytes += chunk.length;
    if (bytes > orderBytesMax)
      throw new SoulBoxError('bad_request', `The body of the call has more than ${orderBytesMax} bytes.`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** Answers that never end, by whose end callers see that this process is gone. */
export interface AliveCalls extends Disposable {
  answer(request: IncomingMessage, response: ServerResponse): void;
}

export function createAliveCalls(): AliveCalls {
  const open = new Set<ServerResponse>();
  return {
    answer(request, response) {
      open.add(response);
      response.once('close', () => open.delete(response));
      // It is silent by intent.
      request.socket.setTimeout(0);
      response.writeHead(200, { 'content-type': 'application/octet-stream' });
      response.flushHeaders();
    },
    [Symbol.dispose]() {
      for (const response of open) response.destroy();
    },
  };
}
