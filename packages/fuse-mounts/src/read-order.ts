import type { IncomingMessage } from 'node:http';
import { SoulBoxError } from '@soulbox/base';
import type { Negotiated } from '@soulbox/fuse';
import { z } from 'zod';
import { mountsMax, orderBytesMax } from './limits.ts';
import type { MountOrder } from './serve-mounts.ts';

/** What the body of each order of the runner has; each service has more. */
export const orderSchema = z.object({
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
});

const mountIds = /^[a-z0-9-]{1,100}$/;

/**
 * Reads the order of the runner to serve a mount, `?mount=ID` with a body of `schema`. `take` returns the descriptor that
 * was sent with a ticket. Throws `bad_request`, and then has no descriptor.
 */
export async function readOrder<Schema extends typeof orderSchema>(
  request: IncomingMessage,
  query: URLSearchParams,
  { schema, take }: { readonly schema: Schema; readonly take: (ticket: Uint8Array) => number | undefined },
): Promise<MountOrder & Omit<z.infer<Schema>, 'ticket' | 'negotiated'>> {
  const mount = query.get('mount') ?? '';
  if (!mountIds.test(mount)) throw new SoulBoxError('bad_request', 'The mount of the call is no id.');
  const { ticket, negotiated, ...order } = parseOrder(schema, await readBody(request));
  const fd = take(Buffer.from(ticket, 'hex'));
  if (fd === undefined)
    throw new SoulBoxError('bad_request', 'The device of the mount has not arrived. Send it again.');
  // Flags of another version are of no use here.
  return { ...order, mount, fd, negotiated: negotiated as Negotiated };
}

const idsSchema = z.array(z.string().regex(mountIds)).max(mountsMax);

/** Reads the body of a call that names mounts. Throws `bad_request`. */
export async function readMountIds(request: IncomingMessage): Promise<ReadonlySet<string>> {
  return new Set(parseOrder(idsSchema, await readBody(request)));
}

function parseOrder<Schema extends z.ZodType>(schema: Schema, text: string): z.infer<Schema> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new SoulBoxError('bad_request', 'The body of the call is no JSON.');
  }
  const { data, error } = schema.safeParse(value);
  if (data === undefined) throw new SoulBoxError('bad_request', z.prettifyError(error as z.ZodError));
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
