import { closeSync } from 'node:fs';
import { addressOf } from '@soulbox/linux/libc';
import type { BlockDigests } from '../../driver.ts';
import { readMessage } from './criu-connection.ts';
import type { Block, Blocks, MissingMemory, Piece } from './missing-memory.ts';
import { createBlocks } from './missing-memory.ts';
import { readLazyRuns } from './page-map.ts';
import { waitReadable } from './poll-set.ts';
import type { Giving, Task } from './task.ts';
import { startTask } from './task.ts';
import { createVerifiedPages, DamagedError } from './verified-pages.ts';
import type { VerifiedPages } from './verified-pages.ts';

/** How long to wait before trying again, for a process that changes its mappings or whose memory is full. */
const retryMs = 1;
/** How long to wait for memory that has not arrived yet: that a process needs now, and the rest. */
const neededMs = 2;
const arrivingMs = 20;
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

export interface PageService {
  /**
   * Returns when no process misses any memory. Throws DamagedError before a page of a damaged block is used, and Error
   * when CRIU gives up or `watch` throws. The descriptors then stay open, so that the processes stay blocked.
   */
  run(): void;
}

/**
 * Provides a restored sandbox's memory: touched pages at once, all others in the order of the image, by whole blocks.
 * One thread without promises: events, blocks and pages are handled strictly one after the other, which keeps the order
 * of the kernel's events.
 */
export function createPageService(options: PageServiceOptions): PageService {
  const pages = createVerifiedPages(options.imageDirectory, options.digests);
  const blocks = createBlocks(options.digests.blockBytes);
  const served = createServed();
  const restore = createRestore(options, blocks, served);
  const supply = createSupply(pages, blocks, served, restore);
  const watch = createWatch(options.watch);

  const descriptors = (): number[] => [
    ...served.tasks.keys(),
    ...(restore.connection === undefined ? [] : [restore.connection]),
  ];
  const patienceMs = (): number => {
    if (supply.waitMs !== undefined) return supply.waitMs;
    return restore.isFinished ? 0 : watchMs;
  };
  const hear = (fd: number): void => {
    if (fd === restore.connection) restore.hear(fd);
    for (const child of served.tasks.get(fd)?.takeEvents() ?? []) served.add(child);
  };
  /** Returns whether there were any faults. */
  const answerFaults = (): boolean => {
    const tasks = [...served.tasks.values()].filter((task) => task.wanted.size > 0);
    for (const task of tasks)
      for (const address of [...task.wanted]) if (supply.answer(task, address)) task.wanted.delete(address);
    return tasks.length > 0;
  };
  /** Stops serving a process that has all its memory: its untouched memory then causes no more faults. */
  const releaseComplete = (): void => {
    for (const task of [...served.tasks.values()])
      if (task.memory.isComplete && task.wanted.size === 0) served.remove(task);
  };

  return {
    run() {
      while (!(restore.isFinished && served.tasks.size === 0)) {
        watch();
        for (const fd of waitReadable(descriptors(), patienceMs())) hear(fd);
        supply.waitMs = undefined;
        pages.refresh();
        if (!answerFaults() && restore.isFinished) supply.giveNextBlock();
        if (restore.isFinished) releaseComplete();
      }
      if (restore.connection !== undefined) closeSync(restore.connection);
      pages.close();
    },
  };
}

/** `watch` for a loop: a call soon after the last one does nothing. */
function createWatch(watch: () => void): () => void {
  let watchedAt = 0;
  return () => {
    if (performance.now() < watchedAt + watchMs) return;
    watch();
    watchedAt = performance.now();
  };
}

interface Served {
  /** By descriptor. */
  readonly tasks: ReadonlyMap<number, Task>;
  ownerOf(memory: MissingMemory): Task | undefined;
  add(task: Task): void;
  remove(task: Task): void;
}

/** The processes that miss memory. */
function createServed(): Served {
  const tasks = new Map<number, Task>();
  const owners = new Map<MissingMemory, Task>();
  return {
    tasks,
    ownerOf: (memory) => owners.get(memory),
    add(task) {
      tasks.set(task.fault.fd, task);
      owners.set(task.memory, task);
    },
    remove(task) {
      tasks.delete(task.fault.fd);
      owners.delete(task.memory);
      task.close();
    },
  };
}

interface Restore {
  /** Undefined when CRIU has closed it. */
  readonly connection: number | undefined;
  /** CRIU registers memory with the kernel step by step until it reports that it has finished. */
  readonly isFinished: boolean;
  /** Reads one message. */
  hear(connection: number): void;
}

/** What CRIU says on its connection: which processes there are, and when all are restored. */
function createRestore(options: PageServiceOptions, blocks: Blocks, served: Served): Restore {
  let connection: number | undefined = options.connection;
  let isFinished = false;

  const open = (pid: number, fd: number): void => {
    const task = startTask(fd, blocks);
    served.add(task);
    const { pagesFile, runs } = readLazyRuns(options.imageDirectory, pid);
    task.memory.add(pagesFile, runs);
  };

  return {
    get connection() {
      return connection;
    },
    get isFinished() {
      return isFinished;
    },
    hear(from) {
      const message = readMessage(from);
      if (message.kind === 'finished') isFinished = true;
      if (message.kind === 'task') open(message.pid, message.fd);
      if (message.kind !== 'end') return;
      if (!isFinished) throw new Error('The restore ended before all processes existed.');
      closeSync(from);
      connection = undefined;
    },
  };
}

interface Supply {
  /** After which time something must be tried again. Undefined: nothing must. */
  waitMs: number | undefined;
  /** False: must be tried again. */
  answer(task: Task, address: number): boolean;
  giveNextBlock(): void;
}

/** Copies saved memory into the processes. */
function createSupply(pages: VerifiedPages, blocks: Blocks, served: Served, restore: Restore): Supply {
  const source = addressOf(pages.buffer);

  const waitAtMost = (ms: number): void => {
    supply.waitMs = Math.min(supply.waitMs ?? ms, ms);
  };
  const conclude = (task: Task, giving: Giving): boolean => {
    if (giving === 'ended') served.remove(task);
    if (giving === 'again') waitAtMost(retryMs);
    return giving !== 'again';
  };
  /** Copies a piece from its block, of which `bytes` are loaded. */
  const givePiece = (piece: Piece, bytes: number): boolean => {
    const task = served.ownerOf(piece.memory);
    if (task === undefined) return true;
    const at = piece.offset - piece.block.index * blocks.blockBytes;
    if (at + piece.end - piece.start > bytes)
      throw new DamagedError(`${piece.block.file} is shorter than its page map.`);
    return conclude(task, task.give(piece.start, piece.end, source + BigInt(at), restore.isFinished));
  };
  const giveBlock = (block: Block): void => {
    if (block.pieces.size === 0) return;
    const bytes = pages.hold(block);
    for (const piece of [...block.pieces]) if (!givePiece(piece, bytes)) return;
  };

  const supply: Supply = {
    waitMs: undefined,
    answer(task, address) {
      const piece = task.memory.find(address);
      if (piece === undefined) return conclude(task, task.giveZeros(address));
      if (!pages.request(piece.block)) {
        waitAtMost(neededMs);
        return false;
      }
      const given = givePiece(piece, pages.hold(piece.block));
      // The thread continues; it is likely to touch nearby memory next.
      if (given && restore.isFinished) giveBlock(piece.block);
      return given;
    },
    giveNextBlock() {
      const block = blocks.first((one) => pages.isThere(one));
      if (block !== undefined) giveBlock(block);
      else if (blocks.first() !== undefined) waitAtMost(arrivingMs);
    },
  };
  return supply;
}
