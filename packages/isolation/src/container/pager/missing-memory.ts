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

/** All blocks of an image, each created once, and those that a process still waits for. */
export class Blocks {
  readonly blockBytes: number;
  readonly #all = new Map<string, Block>();
  readonly #waited = new Set<Block>();

  constructor(blockBytes: number) {
    this.blockBytes = blockBytes;
  }

  get(file: string, index: number): Block {
    const key = `${index}/${file}`;
    let block = this.#all.get(key);
    if (block === undefined) this.#all.set(key, (block = { file, index, pieces: new Set() }));
    return block;
  }

  add(piece: Piece): void {
    piece.block.pieces.add(piece);
    this.#waited.add(piece.block);
  }

  delete(piece: Piece): void {
    piece.block.pieces.delete(piece);
    if (piece.block.pieces.size === 0) this.#waited.delete(piece.block);
  }

  /** The first block that a process waits for, in the order of the image; undefined when all are loaded. */
  first(): Block | undefined {
    return this.#waited.values().next().value;
  }
}

/**
 * The memory that one process does not have yet: pieces in the order of their addresses, without overlap. It follows
 * the changes of the address space that the kernel reports (userfaultfd(2), "non-cooperative" events). Addresses are
 * whole pages.
 */
export class MissingMemory {
  readonly #blocks: Blocks;
  #pieces: Piece[] = [];
  /** Pieces that were unmapped or moved away since the last `settle`, at their old place: see `fork`. */
  #recent: Piece[] = [];

  constructor(blocks: Blocks) {
    this.#blocks = blocks;
  }

  get isComplete(): boolean {
    return this.#pieces.length === 0;
  }

  /** Adds saved runs; none overlaps existing pieces. */
  add(file: string, runs: readonly SavedRun[]): void {
    const { blockBytes } = this.#blocks;
    for (const run of runs)
      for (let { start, offset } = run; start < run.end;) {
        const index = Math.floor(offset / blockBytes);
        const end = Math.min(run.end, start + (index + 1) * blockBytes - offset);
        this.#insert({ memory: this, block: this.#blocks.get(file, index), start, end, offset });
        offset += end - start;
        start = end;
      }
  }

  /** The piece that contains an address. */
  find(address: number): Piece | undefined {
    const piece = this.#pieces[this.#indexOf(address)];
    return piece !== undefined && piece.start <= address ? piece : undefined;
  }

  /** Removes a range: the process has received it, or wants zeros instead. */
  drop(start: number, end: number): void {
    for (const piece of this.#take(start, end)) this.#blocks.delete(piece);
  }

  /** The process has unmapped a range. */
  unmap(start: number, end: number): void {
    const gone = this.#take(start, end);
    for (const piece of gone) this.#blocks.delete(piece);
    this.#recent.push(...gone);
  }

  /** No fork is in progress at this moment. */
  settle(): void {
    if (this.#recent.length > 0) this.#recent = [];
  }

  /** The process has moved `length` bytes. The previous content of the new place is gone. */
  move(from: number, to: number, length: number): void {
    const moved = this.#take(from, from + length);
    this.#recent.push(...moved.map((piece) => ({ ...piece })));
    this.drop(to, to + length);
    for (const piece of moved) {
      piece.start += to - from;
      piece.end += to - from;
    }
    this.#pieces.splice(this.#indexOf(to), 0, ...moved);
  }

  /**
   * The memory that a new child is missing too. The kernel copies the address space first and reports the fork a moment
   * later; a munmap or mremap of another thread in between is reported before the fork. So the child also misses
   * recently removed pieces. Where it has no such memory, providing it fails without harm.
   */
  fork(): MissingMemory {
    const child = new MissingMemory(this.#blocks);
    for (const piece of [...this.#pieces, ...this.#recent]) child.#insert({ ...piece, memory: child });
    return child;
  }

  /** Adds a piece where there is none yet. */
  #insert(piece: Piece): void {
    const index = this.#indexOf(piece.start);
    if ((this.#pieces[index]?.start ?? Infinity) < piece.end) return;
    this.#pieces.splice(index, 0, piece);
    this.#blocks.add(piece);
  }

  /** Index of the first piece that ends after `address`. */
  #indexOf(address: number): number {
    let low = 0;
    let high = this.#pieces.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#pieces[middle]?.end ?? Infinity) > address) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  /** Removes the part of the list within a range, splitting pieces at its ends. */
  #take(start: number, end: number): Piece[] {
    this.#cut(start);
    this.#cut(end);
    const from = this.#indexOf(start);
    let to = from;
    while ((this.#pieces[to]?.start ?? Infinity) < end) to += 1;
    return this.#pieces.splice(from, to - from);
  }

  #cut(address: number): void {
    const index = this.#indexOf(address);
    const piece = this.#pieces[index];
    if (piece === undefined || piece.start >= address) return;
    const tail = { ...piece, start: address, offset: piece.offset + (address - piece.start) };
    piece.end = address;
    this.#pieces.splice(index + 1, 0, tail);
    this.#blocks.add(tail);
  }
}
