import { randomBytes } from 'node:crypto';
import { SoulBoxError } from '@soulbox/base';
import { keyOfPack, objectMaxBytes } from '@soulbox/vault';
import type { SealedObjects } from '@soulbox/vault';
import { findPackPlace } from '../blocks/block-names.ts';

/** What a pack contains: the bytes of a block, or of something else, which has no id. */
export interface PackUnit {
  readonly id: string | undefined;
  readonly at: number;
  readonly length: number;
}

export interface OpenedPack {
  readonly bytes: Buffer;
  readonly units: readonly PackUnit[];
}

/** Immutable objects of at most 8 MiB with units of one group of volumes. */
export interface Packs {
  put(group: string, pack: string, plain: Uint8Array, signal: AbortSignal): Promise<void>;
  /** Throws `storage_damaged` for one that is missing, changed, cut or another one. */
  get(group: string, pack: string, signal: AbortSignal): Promise<OpenedPack>;
  delete(group: string, pack: string, signal: AbortSignal): Promise<void>;
  list(group: string, signal: AbortSignal): AsyncGenerator<{ readonly pack: string; readonly modifiedAtMs: number }>;
}

/** Of units and table together. The rest is for the encryption. */
export const packMaxBytes = objectMaxBytes - 128;
/** One unit in the table at the end of a pack: id, offset, length. */
export const unitRowBytes = 16 + 4 + 4;
/** Behind the table: the number of units, and the mark of the form. */
const tailBytes = 4 + 4;
const mark = Buffer.from('sbp1', 'latin1');

const packForm = /^[0-9a-f]{32}$/;
const runDigits = 24;

export function createPacks(objects: SealedObjects, volumesKey: Uint8Array): Packs {
  return {
    async put(group, pack, plain, signal) {
      await objects.put(nameOf(group, pack), plain, { key: keyOfPack(volumesKey, pack), signal });
    },
    async get(group, pack, signal) {
      const found = await objects.get(nameOf(group, pack), { key: keyOfPack(volumesKey, pack), signal });
      if (found === undefined)
        throw new SoulBoxError('storage_damaged', `The pack ${pack} of volumes is not in the store.`);
      return openPack(found.plain, pack);
    },
    async delete(group, pack, signal) {
      await objects.delete(nameOf(group, pack), signal);
    },
    async *list(group, signal) {
      const prefix = `volumes/packs/${group}/`;
      for await (const { key, modifiedAtMs } of objects.list(prefix, signal)) {
        const pack = key.slice(prefix.length);
        if (packForm.test(pack)) yield { pack, modifiedAtMs };
      }
    },
  };
}

const nameOf = (group: string, pack: string): string => `volumes/packs/${group}/${pack}`;

/** The pack that a block is in. Undefined for one that is on the disk only. */
export function packOf(name: string): string | undefined {
  return findPackPlace(name)?.pack;
}

/** The names of the packs of one run: what follows in a file is in the pack with the next number. */
export function newRun(): string {
  return randomBytes(runDigits / 2).toString('hex');
}

export function packOfRun(run: string, number: number): string {
  return run + number.toString(16).padStart(32 - runDigits, '0');
}

export function placeInRun(pack: string): { readonly run: string; readonly number: number } {
  return { run: pack.slice(0, runDigits), number: Number.parseInt(pack.slice(runDigits), 16) };
}

/** Writes the table behind the units. Returns the whole pack. */
export function closePack(buffer: Buffer, end: number, units: readonly PackUnit[]): Buffer {
  let position = end;
  for (const { id, at, length } of units) {
    buffer.fill(0, position, position + 16);
    if (id !== undefined) buffer.write(id, position, 'hex');
    buffer.writeUInt32LE(at, position + 16);
    buffer.writeUInt32LE(length, position + 20);
    position += unitRowBytes;
  }
  buffer.writeUInt32LE(units.length, position);
  mark.copy(buffer, position + 4);
  return buffer.subarray(0, position + tailBytes);
}

/** Bytes that a pack with so many units has besides them. */
export const tableBytes = (units: number): number => units * unitRowBytes + tailBytes;

function openPack(bytes: Buffer, pack: string): OpenedPack {
  const damaged = (): SoulBoxError =>
    new SoulBoxError('storage_damaged', `The pack ${pack} of volumes has another form than this version writes.`);
  if (bytes.length < tailBytes || !bytes.subarray(bytes.length - 4).equals(mark)) throw damaged();
  const count = bytes.readUInt32LE(bytes.length - tailBytes);
  const table = bytes.length - tableBytes(count);
  if (table < 0) throw damaged();
  const units = Array.from({ length: count }, (_, index): PackUnit => {
    const row = table + index * unitRowBytes;
    const id = bytes.toString('hex', row, row + 16);
    const [at, length] = [bytes.readUInt32LE(row + 16), bytes.readUInt32LE(row + 20)];
    if (at + length > table) throw damaged();
    return { id: /^0+$/.test(id) ? undefined : id, at, length };
  });
  return { bytes: bytes.subarray(0, table), units };
}
