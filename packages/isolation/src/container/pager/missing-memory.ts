import type { SavedRun } from './page-map.ts';

/** A stretch of a pages file that is verified as a whole. */
export interface Block {
  readonly file: string;
  /** Its number in the file, from 0. */
  readonly index: number;
  /** Who still waits for a part of it. Empty: done with. */
  readonly pieces: Set<Piece>;
}

/** Missing memory of one process that one block holds. */
export interface Piece {
  readonly memory: MissingMemory;
  readonly block: Block;
  /** Address in the process; follows the memory when the process moves it. */
  start: number;
  end: number;
  /** Bytes from the beginning of the pages file. */
  offset: number;
}

/** All blocks of an image, each made once, and those that somebody waits for. */
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

  /** The first block that somebody waits for, in the order of the image; undefined when all is given. */
  first(): Block | undefined {
    return this.#waited.values().next().value;
  }
}

/**
 * What one process has not been given yet: pieces in the order of their addresses, none overlapping. It follows what the
 * process does to its address space, as the kernel reports it (userfaultfd(2), "non-cooperative" events). Addresses are
 * whole pages.
 */
export class MissingMemory {
  readonly #blocks: Blocks;
  #pieces: Piece[] = [];
  /** What was unmapped or moved away since the memory last stood still, at its old place: see `fork`. */
  #recent: Piece[] = [];

  constructor(blocks: Blocks) {
    this.#blocks = blocks;
  }

  get isComplete(): boolean {
    return this.#pieces.length === 0;
  }

  /** Adds saved runs; none overlaps what is there. */
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

  /** The piece that holds an address. */
  find(address: number): Piece | undefined {
    const piece = this.#pieces[this.#indexOf(address)];
    return piece !== undefined && piece.start <= address ? piece : undefined;
  }

  /** Forgets a range: the process has got it, or wants zeros instead. */
  drop(start: number, end: number): void {
    for (const piece of this.#take(start, end)) this.#blocks.delete(piece);
  }

  /** The process has given a range back. */
  unmap(start: number, end: number): void {
    const gone = this.#take(start, end);
    for (const piece of gone) this.#blocks.delete(piece);
    this.#recent.push(...gone);
  }

  /** No fork is under way at this moment. */
  settle(): void {
    if (this.#recent.length > 0) this.#recent = [];
  }

  /** The process has moved `length` bytes. What stood at the new place is gone. */
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
   * What a child has not got either. The kernel copies a process first and reports the fork a moment later; another thread's
   * munmap or mremap in between is reported before it. So the child misses what went lately, too: where it has no such
   * memory, giving it fails without harm.
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

  /** Index of the first piece that ends behind `address`. */
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

  /** Takes what lies in a range out of the list, cutting pieces at its ends. */
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
