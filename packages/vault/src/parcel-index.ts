import { SoulBoxError } from '@soulbox/base';
import { z } from 'zod';
import type { SealedObjects } from './sealed-objects.ts';

/** Of the content in an object, unless the index says otherwise. */
export const usualChunkBytes = 8 * 1024 * 1024;
/** 8 TiB in chunks of the usual size. */
export const maxChunks = 1_000_000;
export const indexMaxBytes = 1024 * 1024;

const common = {
  uploadId: z.string().regex(/^[0-9a-f]{32}$/),
  sizeBytes: z
    .number()
    .int()
    .nonnegative()
    .max(maxChunks * usualChunkBytes),
  createdAtMs: z.number().int(),
  about: z.unknown().optional(),
};

const indexSchema = z.discriminatedUnion('format', [
  z.object({ format: z.literal(1), ...common }),
  z.object({
    format: z.literal(2),
    ...common,
    chunkBytes: z
      .number()
      .int()
      .min(64 * 1024)
      .max(usualChunkBytes),
  }),
]);

/** What the last object of a parcel says about the others. */
export interface ParcelIndex {
  readonly uploadId: string;
  readonly sizeBytes: number;
  readonly chunkBytes: number;
  readonly about?: unknown;
}

export const indexOf = (name: string): string => `index/${name}`;

/** Undefined: there is none. Throws `storage_damaged`, `state_incompatible`. */
export async function readIndex(
  objects: SealedObjects,
  key: Uint8Array,
  name: string,
  signal: AbortSignal,
): Promise<ParcelIndex | undefined> {
  const found = await objects.get(indexOf(name), { key, signal });
  if (found === undefined) return undefined;
  // It is authenticated: a form that is unknown is of a newer version.
  const parsed = indexSchema.safeParse(JSON.parse(found.plain.toString()));
  if (!parsed.success)
    throw new SoulBoxError('state_incompatible', `The parcel ${name} in the store is of a newer version of SoulBox.`);
  const { data } = parsed;
  return { ...data, chunkBytes: data.format === 1 ? usualChunkBytes : data.chunkBytes };
}

/** The text of an index. Parcels with chunks of the usual size keep the form that earlier versions read. */
export function indexText(name: string, { chunkBytes, ...rest }: ParcelIndex): Buffer {
  const form = chunkBytes === usualChunkBytes ? { format: 1 } : { format: 2, chunkBytes };
  const text = Buffer.from(JSON.stringify({ ...form, ...rest, createdAtMs: Date.now() }));
  if (text.length > indexMaxBytes) throw new SoulBoxError('limit_exceeded', `The parcel ${name} has too many parts.`);
  return text;
}
