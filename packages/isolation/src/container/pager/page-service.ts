import { closeSync } from 'node:fs';
import { addressOf } from '@soulbox/linux/libc';
import type { BlockDigests } from '../../driver.ts';
import { readMessage } from './criu-connection.ts';
import type { Block, MissingMemory, Piece } from './missing-memory.ts';
import { Blocks } from './missing-memory.ts';
import { readLazyRuns } from './page-map.ts';
import { waitReadable } from './poll-set.ts';
import type { Giving } from './task.ts';
import { Task } from './task.ts';
import { DamagedError, VerifiedPages } from './verified-pages.ts';

/** How long to wait before trying again, for a process that changes its mappings or whose memory is full. */
const retryMs = 1;
/** How often to check whether the other processes of the pager still run. */
const watchMs = 100;

export interface PageServiceOptions {
  readonly imageDirectory: string;
  readonly digests: BlockDigests;
  /** The accepted connection of `criu restore`. */
  readonly connection: number;
  /** Called about every 100 ms; throws to stop the service. */
  readonly watch: () => void;
}

/**
 * Provides a restored sandbox's memory: touched pages at once, all others in the order of the image, by whole blocks.
 * One thread without promises: events, blocks and pages are handled strictly one after the other, which keeps the order
 * of the kernel's events.
 */
export class PageService {
  readonly #options: PageServiceOptions;
  readonly #pages: VerifiedPages;
  readonly #source: bigint;
  readonly #blocks: Blocks;
  readonly #tasks = new Map<number, Task>();
  readonly #owners = new Map<MissingMemory, Task>();
  #connection: number | undefined;
  /** CRIU registers memory with the kernel step by step until it reports that it has finished. */
  #restored = false;
  #mustWait = false;
  #watchedAt = 0;

  constructor(options: PageServiceOptions) {
    this.#options = options;
    this.#connection = options.connection;
    this.#pages = new VerifiedPages(options.imageDirectory, options.digests);
    this.#source = addressOf(this.#pages.buffer);
    this.#blocks = new Blocks(options.digests.blockBytes);
  }

  /**
   * Returns when no process misses any memory. Throws DamagedError before a page of a damaged block is used, and Error
   * when CRIU gives up or `watch` throws. The descriptors then stay open, so that the processes stay blocked.
   */
  run(): void {
    while (!(this.#restored && this.#tasks.size === 0)) {
      this.#watch();
      for (const fd of waitReadable(this.#descriptors(), this.#patienceMs())) this.#hear(fd);
      this.#mustWait = false;
      if (!this.#answerFaults() && this.#restored) this.#giveNextBlock();
      if (this.#restored) this.#releaseComplete();
    }
    if (this.#connection !== undefined) closeSync(this.#connection);
    this.#pages.close();
  }

  #watch(): void {
    if (performance.now() < this.#watchedAt + watchMs) return;
    this.#options.watch();
    this.#watchedAt = performance.now();
  }

  #descriptors(): number[] {
    return [...this.#tasks.keys(), ...(this.#connection === undefined ? [] : [this.#connection])];
  }

  #patienceMs(): number {
    if (this.#mustWait) return retryMs;
    return this.#restored ? 0 : watchMs;
  }

  #hear(fd: number): void {
    if (fd === this.#connection) this.#hearCriu(fd);
    for (const child of this.#tasks.get(fd)?.takeEvents() ?? []) this.#add(child);
  }

  #hearCriu(connection: number): void {
    const message = readMessage(connection);
    if (message.kind === 'finished') this.#restored = true;
    if (message.kind === 'task') this.#open(message.pid, message.fd);
    if (message.kind !== 'end') return;
    if (!this.#restored) throw new Error('The restore ended before all processes existed.');
    closeSync(connection);
    this.#connection = undefined;
  }

  #open(pid: number, fd: number): void {
    const task = Task.start(fd, this.#blocks);
    this.#add(task);
    const { pagesFile, runs } = readLazyRuns(this.#options.imageDirectory, pid);
    task.memory.add(pagesFile, runs);
  }

  #add(task: Task): void {
    this.#tasks.set(task.fault.fd, task);
    this.#owners.set(task.memory, task);
  }

  #remove(task: Task): void {
    this.#tasks.delete(task.fault.fd);
    this.#owners.delete(task.memory);
    task.close();
  }

  /** Returns whether there were any faults. */
  #answerFaults(): boolean {
    const tasks = [...this.#tasks.values()].filter((task) => task.wanted.size > 0);
    for (const task of tasks)
      for (const address of [...task.wanted]) if (this.#answer(task, address)) task.wanted.delete(address);
    return tasks.length > 0;
  }

  /** False: must be tried again. */
  #answer(task: Task, address: number): boolean {
    const piece = task.memory.find(address);
    if (piece === undefined) return this.#conclude(task, task.giveZeros(address));
    const given = this.#givePiece(piece, this.#pages.hold(piece.block));
    // The thread continues; it is likely to touch nearby memory next.
    if (given && this.#restored) this.#giveBlock(piece.block);
    return given;
  }

  #giveNextBlock(): void {
    const block = this.#blocks.first();
    if (block !== undefined) this.#giveBlock(block);
  }

  #giveBlock(block: Block): void {
    if (block.pieces.size === 0) return;
    const bytes = this.#pages.hold(block);
    for (const piece of [...block.pieces]) if (!this.#givePiece(piece, bytes)) return;
  }

  /** Copies a piece from its block, of which `bytes` are loaded. */
  #givePiece(piece: Piece, bytes: number): boolean {
    const task = this.#owners.get(piece.memory);
    if (task === undefined) return true;
    const at = piece.offset - piece.block.index * this.#blocks.blockBytes;
    if (at + piece.end - piece.start > bytes)
      throw new DamagedError(`${piece.block.file} is shorter than its page map.`);
    return this.#conclude(task, task.give(piece.start, piece.end, this.#source + BigInt(at), this.#restored));
  }

  #conclude(task: Task, giving: Giving): boolean {
    if (giving === 'ended') this.#remove(task);
    if (giving === 'again') this.#mustWait = true;
    return giving !== 'again';
  }

  /** Stops serving a process that has all its memory: its untouched memory then causes no more faults. */
  #releaseComplete(): void {
    for (const task of [...this.#tasks.values()])
      if (task.memory.isComplete && task.wanted.size === 0) this.#remove(task);
  }
}
