import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { integerOf, parseMessage, splitImage, varint } from '../pager/image-file.ts';

// Field numbers of mm_entry and vma_entry (CRIU: images/mm.proto, vma.proto).
const mmVmas = 14;
const vma = { start: 1, end: 2, flags: 6 } as const;
// Flags of mmap(2), the same for all architectures that SoulBox runs on.
const mapPrivate = 0x02;
const mapNoReserve = 0x4000;
/** No host that runs sandboxes has less memory. */
const largeBytes = 2 ** 30;
/** Two magic words and the length of the only message. */
const headerBytes = 12;

/**
 * Marks large private mappings in a saved memory as mappings for which the kernel need not reserve memory. Programs
 * reserve terabytes of addresses that they may not write (Chromium does so for its JavaScript heaps). CRIU first maps
 * everything writable, and the kernel refuses such a mapping if it is larger than all memory. The mark changes nothing
 * else while vm.overcommit_memory is 0 or 1 (proc(5)).
 */
export async function leaveLargeMappingsUnreserved(directory: string): Promise<void> {
  const names = (await readdir(directory)).filter((name) => /^mm-\d+\.img$/.test(name));
  for (const name of names) {
    const path = join(directory, name);
    const image = await readFile(path);
    const marked = markLargeMappings(image, path);
    if (marked !== image) await writeFile(path, marked);
  }
}

/**
 * Returns the image of one process's mappings with the needed marks, or the same image if it needs none. Throws if the
 * image is incomplete.
 */
export function markLargeMappings(image: Buffer, path: string): Buffer {
  const [memory] = splitImage(image, 'mm', path);
  const mappings = memory === undefined ? [] : (parseMessage(memory).get(mmVmas) ?? []);
  const parts: Uint8Array[] = [];
  let copied = headerBytes;
  for (const mapping of mappings) {
    if (typeof mapping === 'number') throw new Error(`${path} has a mapping that is a number.`);
    const flags = flagsToMark(mapping);
    if (flags === undefined) continue;
    // If a field occurs twice, the last one counts.
    const mark = [vma.flags << 3, ...varint(flags | mapNoReserve)];
    const start = mapping.byteOffset - image.byteOffset;
    const lengthAt = start - varint(mapping.length).length;
    parts.push(image.subarray(copied, lengthAt), Buffer.from(varint(mapping.length + mark.length)));
    parts.push(mapping, Buffer.from(mark));
    copied = start + mapping.length;
  }
  if (parts.length === 0) return image;
  const message = Buffer.concat([...parts, image.subarray(copied)]);
  const header = Buffer.from(image.subarray(0, headerBytes));
  header.writeUInt32LE(message.length, headerBytes - 4);
  return Buffer.concat([header, message]);
}

/** The flags of a mapping that needs the mark. */
function flagsToMark(mapping: Uint8Array): number | undefined {
  const fields = parseMessage(mapping);
  const flags = integerOf(fields, vma.flags, 0);
  const bytes = integerOf(fields, vma.end, 0) - integerOf(fields, vma.start, 0);
  const needed = bytes > largeBytes && (flags & mapPrivate) !== 0 && (flags & mapNoReserve) === 0;
  return needed ? flags : undefined;
}
