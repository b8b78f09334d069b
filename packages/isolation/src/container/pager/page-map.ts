import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Message } from './image-file.ts';
import { integerOf, parseMessage, readImage } from './image-file.ts';

export const pageBytes = 4096;

// CRIU: criu/include/pagemap.h. "In parent" would mean an incremental dump, which SoulBox does not make.
const flagInParent = 1;
const flagLazy = 2;
const flagPresent = 4;

// Field numbers of pagemap_head and pagemap_entry (CRIU: images/pagemap.proto). Since CRIU 4.2 the count is a 64-bit
// field of its own and the old one is 0.
const headPagesId = 1;
const entry = { address: 1, oldPages: 2, flags: 4, pages: 5 } as const;
// mm_entry and vma_entry (CRIU: images/mm.proto, vma.proto).
const mmVmas = 14;
const vmaEnd = 2;

/** The address of a run of saved pages, and its place in its `pages-*.img`. */
export interface SavedRun {
  /** First address in the process. */
  readonly start: number;
  /** The address after the last. */
  readonly end: number;
  /** Offset from the beginning of the pages file in bytes. */
  readonly offset: number;
  /** `criu restore --lazy-pages` leaves these pages to the pager and reads all others itself. */
  readonly lazy: boolean;
}

export interface PageMap {
  /** Name of the file with the pages. */
  readonly pagesFile: string;
  readonly runs: readonly SavedRun[];
}

/**
 * Reads one `pagemap-*.img`. The pages of its entries are stored one after the other in the pages file. Throws on
 * anything unexpected.
 */
export function readPageMap(directory: string, name: string): PageMap {
  const [head, ...entries] = readImage(join(directory, name), 'pagemap');
  if (head === undefined) throw new Error(`${name} is empty.`);
  const runs: SavedRun[] = [];
  let offset = 0;
  for (const message of entries) {
    const run = runFrom(message, offset, name);
    runs.push(run);
    offset += run.end - run.start;
  }
  return { pagesFile: `pages-${integerOf(head, headPagesId, 0)}.img`, runs };
}

function runFrom(message: Message, offset: number, name: string): SavedRun {
  const start = integerOf(message, entry.address, 0);
  const pages = integerOf(message, entry.pages, integerOf(message, entry.oldPages, 0));
  const flags = integerOf(message, entry.flags, 0);
  if ((flags & flagPresent) === 0 || (flags & flagInParent) !== 0)
    throw new Error(`${name} has pages that are not in this image.`);
  return { start, end: start + pages * pageBytes, offset, lazy: (flags & flagLazy) !== 0 };
}

/** Names of all page maps of an image, including those of shared memory. */
export function listPageMaps(directory: string): string[] {
  return readdirSync(directory).filter((name) => /^pagemap-.*\.img$/.test(name));
}

/**
 * The pages that the pager must provide to the process that had `pid` inside: its lazy runs, split at the ends of
 * mappings.
 */
export function readLazyRuns(directory: string, pid: number): PageMap {
  const { pagesFile, runs } = readPageMap(directory, `pagemap-${pid}.img`);
  const ends = readMappingEnds(directory, pid);
  const lazy = runs.filter((run) => run.lazy);
  return { pagesFile, runs: lazy.flatMap((run) => splitRun(run, ends)) };
}

function readMappingEnds(directory: string, pid: number): number[] {
  const [memory] = readImage(join(directory, `mm-${pid}.img`), 'mm');
  const mappings = memory?.get(mmVmas) ?? [];
  const ends = mappings.map((bytes) => (typeof bytes === 'number' ? 0 : integerOf(parseMessage(bytes), vmaEnd, 0)));
  return ends.sort((one, other) => one - other);
}

/** The kernel fills pages of only one mapping at a time, and CRIU joins runs across adjacent mappings. */
function splitRun(run: SavedRun, ends: readonly number[]): SavedRun[] {
  const cuts = [...ends.filter((end) => end > run.start && end < run.end), run.end];
  return cuts.map((end, index) => {
    const start = cuts[index - 1] ?? run.start;
    return { start, end, offset: run.offset + (start - run.start), lazy: true };
  });
}
