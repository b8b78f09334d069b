import { promisify } from 'node:util';
import { constants, zstdCompress, zstdDecompress } from 'node:zlib';
import { SoulBoxError } from '@soulbox/base';
import type { SealedObjects } from '@soulbox/vault';
import { z } from 'zod';
import type { PackPlace } from '../blocks/block-names.ts';
import type { Packs } from './packs.ts';

const compressAsync = promisify(zstdCompress);
const decompressAsync = promisify(zstdDecompress);

/** Of the metadata, in one unit of a pack. Pages that did not change since the last generation are not sent again. */
export const pieceBytes = 128 * 1024;
/** Of the list of pieces and packs, compressed, in one unit. */
const bodyUnitBytes = 4 * 1024 * 1024;
const bodyMaxBytes = 512 * 1024 * 1024;
const headMaxUnits = 200;

const packSchema = z.string().regex(/^[0-9a-f]{32}$/);
const lengthSchema = z.number().int().nonnegative().max(16_000_000);
const placeSchema = z.object({ pack: packSchema, at: lengthSchema, length: lengthSchema });
const idSchema = z.string().regex(/^[a-zA-Z0-9-]{1,64}$/);

const headSchema = z.object({
  format: z.literal(1),
  number: z.number().int().positive(),
  teamId: idSchema,
  groupId: idSchema,
  volumeId: idSchema,
  /** `VolumeFacts.changes` of the moment. */
  changes: z.number().int().nonnegative(),
  /** When the volume was like this. */
  atMs: z.number(),
  /** Of the metadata. */
  sizeBytes: z.number().int().positive(),
  /** Blocks that could not be read on the host. They are not in the store. */
  missingBlocks: z.number().int().nonnegative(),
  body: z.array(placeSchema).min(1).max(headMaxUnits),
});

/** A volume as it was at one moment. It is written after everything that it needs. */
export type Generation = z.infer<typeof headSchema>;

const bodySchema = z.object({
  /** Digest and place of each piece of the metadata, in order. */
  pieces: z.array(z.tuple([z.string().regex(/^[0-9a-f]{32}$/), packSchema, lengthSchema, lengthSchema])),
  /** All packs with blocks that the metadata name. */
  packs: z.array(packSchema),
});

export interface GenerationBody {
  readonly pieces: readonly { readonly digest: string; readonly place: PackPlace }[];
  readonly packs: readonly string[];
}

export interface Generations {
  put(generation: Generation, signal: AbortSignal): Promise<void>;
  /** Undefined: there is none. Throws `storage_damaged`, `state_incompatible`. */
  get(volumeId: string, number: number, signal: AbortSignal): Promise<Generation | undefined>;
  delete(volumeId: string, number: number, signal: AbortSignal): Promise<void>;
  /** The numbers that each volume has in the store, in order. */
  list(signal: AbortSignal): Promise<Map<string, number[]>>;
}

const prefix = 'volumes/generations/';

export function createGenerations(objects: SealedObjects, volumesKey: Uint8Array): Generations {
  const nameOf = (volumeId: string, number: number): string =>
    `${prefix}${volumeId}/${String(number).padStart(12, '0')}`;
  return {
    async put(generation, signal) {
      const name = nameOf(generation.volumeId, generation.number);
      await objects.put(name, Buffer.from(JSON.stringify(generation)), { key: volumesKey, signal });
    },
    async get(volumeId, number, signal) {
      const found = await objects.get(nameOf(volumeId, number), { key: volumesKey, signal });
      if (found === undefined) return undefined;
      // It is authenticated: a form that is unknown is of a newer version.
      const parsed = headSchema.safeParse(JSON.parse(found.plain.toString()));
      if (parsed.success && parsed.data.volumeId === volumeId && parsed.data.number === number) return parsed.data;
      throw new SoulBoxError(
        'state_incompatible',
        `The volume ${volumeId} in the store is of a newer version of SoulBox.`,
      );
    },
    async delete(volumeId, number, signal) {
      await objects.delete(nameOf(volumeId, number), signal);
    },
    async list(signal) {
      const volumes = new Map<string, number[]>();
      for await (const { key } of objects.list(prefix, signal)) {
        const [, volumeId, digits] = /^([a-zA-Z0-9-]{1,64})\/(\d{12})$/.exec(key.slice(prefix.length)) ?? [];
        if (volumeId === undefined) continue;
        volumes.set(volumeId, [...(volumes.get(volumeId) ?? []), Number(digits)]);
      }
      return new Map([...volumes].map(([id, numbers]) => [id, numbers.sort((one, other) => one - other)]));
    },
  };
}

/** The units of a body. */
export async function packBody({ pieces, packs }: GenerationBody): Promise<Buffer[]> {
  const rows = pieces.map(({ digest, place }) => [digest, place.pack, place.at, place.length]);
  const bytes = await compress(Buffer.from(JSON.stringify({ pieces: rows, packs })));
  const units: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += bodyUnitBytes) units.push(bytes.subarray(at, at + bodyUnitBytes));
  if (units.length > headMaxUnits)
    throw new SoulBoxError('limit_exceeded', 'The volume is too large for the object store.');
  return units;
}

/** Throws `storage_damaged`. */
export async function readBody(
  packs: Packs,
  { groupId, body }: Pick<Generation, 'groupId' | 'body'>,
  signal: AbortSignal,
): Promise<GenerationBody> {
  const units: Buffer[] = [];
  for (const place of body) units.push(await readUnit(packs, groupId, place, signal));
  const text = await decompress(Buffer.concat(units), bodyMaxBytes);
  const { pieces, packs: named } = bodySchema.parse(JSON.parse(text.toString()));
  return {
    pieces: pieces.map(([digest, pack, at, length]) => ({ digest, place: { pack, at, length } })),
    packs: named,
  };
}

export async function readUnit(
  packs: Packs,
  group: string,
  { pack, at, length }: PackPlace,
  signal: AbortSignal,
): Promise<Buffer> {
  const { bytes } = await packs.get(group, pack, signal);
  if (at + length > bytes.length)
    throw new SoulBoxError('storage_damaged', `The pack ${pack} of volumes is too short.`);
  return bytes.subarray(at, at + length);
}

export async function compress(bytes: Uint8Array): Promise<Buffer> {
  return await compressAsync(bytes, { params: { [constants.ZSTD_c_compressionLevel]: 1 } });
}

/** Throws `storage_damaged`. */
export async function decompress(bytes: Uint8Array, maxBytes: number): Promise<Buffer> {
  try {
    return await decompressAsync(bytes, { maxOutputLength: maxBytes });
  } catch (error) {
    throw new SoulBoxError('storage_damaged', 'Something of a volume in the store cannot be decompressed.', {
      cause: error,
    });
  }
}
