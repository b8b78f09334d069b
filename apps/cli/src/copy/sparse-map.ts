import { invalidArchive } from './tar-header.ts';

export interface SparseMap {
  /** Of the file with its holes. */
  readonly size: number;
  /** What is stored, in order and without overlaps. */
  readonly parts: readonly { readonly at: number; readonly size: number }[];
}

/** About 32 MiB of memory. GNU tar writes a part for each run of blocks. */
const maxParts = 500_000;

/**
 * Reads the map of a sparse file in GNU tar's pax format 1.0: decimal numbers, one a line, first their count of pairs,
 * then position and size of each part, filled up to a whole block.
 */
export async function readSparseMap(size: number, readBlock: () => Promise<Buffer>): Promise<SparseMap> {
  let block = '';
  async function readNumber(): Promise<number> {
    let text = '';
    for (;;) {
      const end = block.indexOf('\n');
      text += end === -1 ? block : block.slice(0, end);
      if (text.length > 16) break;
      block = end === -1 ? (await readBlock()).toString('latin1') : block.slice(end + 1);
      if (end !== -1) break;
    }
    const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
    if (!Number.isSafeInteger(value)) throw invalidArchive('the map of a sparse file has a wrong number');
    return value;
  }
  const count = await readNumber();
  if (count > maxParts) throw invalidArchive('the map of a sparse file is too long');
  const parts: { at: number; size: number }[] = [];
  let end = 0;
  for (let index = 0; index < count; index++) {
    const part = { at: await readNumber(), size: await readNumber() };
    if (part.at < end || part.at + part.size > size) throw invalidArchive('the map of a sparse file is out of order');
    end = part.at + part.size;
    parts.push(part);
  }
  return { size, parts };
}
