import type { SavedRun } from './page-map.ts';

/** A section of a pages file that is verified as a whole. */
export interface Block {
  readonly file: string;
  /** Its number in the file, from 0. */
  readonly index: number;
  /** The missing pieces that wait for a part of the block. Empty: the block is not needed any more. */
  readonly pieces: Set<Piece>;
}

/** Missing memory of one process that is in one block. */
export interface Piece {
  readonly memory: MissingMemory;
  readonly block: Block;
  /** Address in the process; changes when the process moves the memory. */
  start: number;
  end: number;
  /** Offset from the beginning of the pages file in bytes. */
  offset: number;
}

export interface Blocks {
  readonly blockBytes: number;
  get(file: string, index: number): Block;
  add(piece: Piece): void;
  delete(piece: Piece): void;
  /** The first block that a process waits for and that can be loaded, in the order of the image. */
  first(canLoad?: (block: Block) => boolean): Block | undefined;
}

/** All blocks of an image, each created once, and those that a process still waits for. */
export function createBlocks(blockBytes: number): Blocks {
  const all = new Map<string, Block>();
  const waited = new Set<Block>();
  return {
    blockBytes,
    get(file, index) {
      const key = `${index}/${file}`;
      let block = all.get(key);
      if (block === undefined) all.set(key, (block = { file, index, pieces: new Set() }));
      return block;
    },
    add(piece) {
      piece.block.pieces.add(piece);
      waited.add(piece.block);
    },
    delete(piece) {
      piece.block.pieces.delete(piece);
      if (piece.block.pieces.size === 0) waited.delete(piece.block);
    },
    first(canLoad = () => true) {
      for (const block of waited) if (canLoad(block)) return block;
      return undefined;
    },
  };
}

export interface MissingMemory {
  readonly isComplete: boolean;
  /** Adds saved runs; none overlaps existing pieces. */
  add(file: string, runs: readonly SavedRun[]): void;
  /** The piece that contains an address. */
  find(address: number): Piece | undefined;
  /** Removes a range: the process has received it, or wants zeros instead. */
  drop(start: number, end: number): void;
  /** The process has unmapped a range. */
  unmap(start: number, end: number): void;
  /** No fork is in progress at this moment. */
  settle(): void;
  /** The process has moved `length` bytes. The previous content of the new place is gone. */
  move(from: number, to: number, length: number): void;
  /**
   * The memory that a new child is missing too. The kernel copies the address space first and reports the fork a moment
   * later; a munmap or mremap of another thread in between is reported before the fork. So the child also misses
   * recently removed pieces. Where it has no such memory, providing it fails without harm.
   */
  fork(): MissingMemory;
}

/**
 * The memory that one process does not have yet: pieces in the order of their addresses, without overlap. It follows
 * the changes of the address space that the kernel reports (userfaultfd(2), "non-cooperative" events). Addresses are
 * whole pages.
 */
export function createMissingMemory(blocks: Blocks): MissingMemory {
  return createMemory(blocks, []);
}

/** `inherited`: pieces of the parent. Of those that overlap, the first counts. */
function createMemory(blocks: Blocks, inherited: readonly Piece[]): MissingMemory {
  const pieces: Piece[] = [];
  /** Pieces that were unmapped or moved away since the last `settle`, at their old place: see `fork`. */
  let recent: Piece[] = [];

  const drop = (start: number, end: number): void => {
    for (const piece of take(pieces, blocks, start, end)) blocks.delete(piece);
  };

  const memory: MissingMemory = {
    get isComplete() {
      return pieces.length === 0;
    },
    add(file, runs) {
      const { blockBytes } = blocks;
      for (const run of runs)
        for (let { start, offset } = run; start < run.end;) {
          const index = Math.floor(offset / blockBytes);
          const end = Math.min(run.end, start + (index + 1) * blockBytes - offset);
          insert(pieces, blocks, { memory, block: blocks.get(file, index), start, end, offset });
          offset += end - start;
          start = end;
        }
    },
    find(address) {
      const piece = pieces[indexOf(pieces, address)];
      return piece !== undefined && piece.start <= address ? piece : undefined;
    },
    drop,
    unmap(start, end) {
      const gone = take(pieces, blocks, start, end);
      for (const piece of gone) blocks.delete(piece);
      recent.push(...gone);
    },
    settle() {
      if (recent.length > 0) recent = [];
    },
    move(from, to, length) {
      const moved = take(pieces, blocks, from, from + length);
      recent.push(...moved.map((piece) => ({ ...piece })));
      drop(to, to + length);
      for (const piece of moved) {
        piece.start += to - from;
        piece.end += to - from;
      }
      pieces.splice(indexOf(pieces, to), 0, ...moved);
    },
    fork: () => createMemory(blocks, [...pieces, ...recent]),
  };
  for (const piece of inherited) insert(pieces, blocks, { ...piece, memory });
  return memory;
}

/** Adds a piece where there is none yet. */
function insert(pieces: Piece[], blocks: Blocks, piece: Piece): void {
  const index = indexOf(pieces, piece.start);
  if ((pieces[index]?.start ?? Infinity) < piece.end) return;
  pieces.splice(index, 0, piece);
  blocks.add(piece);
}

/** Index of the first piece that ends after `address`. */
function indexOf(pieces: readonly Piece[], address: number): number {
  let low = 0;
  let high = pieces.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((pieces[middle]?.end ?? Infinity) > address) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** Removes the part of the list within a range, splitting pieces at its ends. */
function take(pieces: Piece[], blocks: Blocks, start: number, end: number): Piece[] {
  cut(pieces, blocks, start);
  cut(pieces, blocks, end);
  const from = indexOf(pieces, start);
  let to = from;
  while ((pieces[to]?.start ?? Infinity) < end) to += 1;
  return pieces.splice(from, to - from);
}

function cut(pieces: Piece[], blocks: Blocks, address: number): void {
  const index = indexOf(pieces, address);
  const piece = pieces[index];
  if (piece === undefined || piece.start >= address) return;
  const tail = { ...piece, start: address, offset: piece.offset + (address - piece.start) };
  piece.end = address;
  pieces.splice(index + 1, 0, tail);
  blocks.add(tail);
}
