import type { IncomingMessage } from 'node:http';
import { orderSchema, readOrder } from '@soulbox/fuse-mounts';
import { z } from 'zod';
import type { Mounts } from '../mounts/serve-mounts.ts';
import type { Request } from './parse.ts';

const bytesSchema = z.number().int().nonnegative().optional();

const volumeOrderSchema = orderSchema.extend({ sizeBytes: bytesSchema, teamBytes: bytesSchema });

/** `take` returns the descriptor that was sent with a ticket. Throws `bad_request`. */
export async function serveMount(
  { place, query }: Request,
  request: IncomingMessage,
  { mounts, take }: { readonly mounts: Mounts; readonly take: (ticket: Uint8Array) => number | undefined },
): Promise<void> {
  const order = await readOrder(request, query, { schema: volumeOrderSchema, take });
  const { sizeBytes, teamBytes } = order;
  await mounts.serve({ ...order, place, limits: { sizeBytes, teamBytes } });
}
