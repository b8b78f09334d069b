import { SoulBoxError } from '@soulbox/base';
import { createBlockList } from './block-list.ts';
import type { Block, StreamPositions } from './blocks.ts';
import type { LogBudget, Spillable } from './log-budget.ts';
import type { StreamNumber } from './records.ts';
import { createRingFile } from './ring-file.ts';

export type LogPolicy = 'drop-oldest' | 'block' | 'fail';

export interface OutputLogOptions {
  /** The file, used once the output is larger than the part in memory. */
  readonly path: string;
  readonly maxBytes: number;
  readonly policy: LogPolicy;
  /** Whether the log may use the disk. Otherwise all of it is in memory, and it drops more when memory is short. */
  readonly usesDisk: boolean;
  readonly budget: LogBudget;
  /** Called once, if the policy is `fail` and the log is full. */
  readonly onFull: () => void;
  /** Called when the disk begins to refuse the log. */
  readonly onDiskFailure: (error: unknown) => void;
}

/** The newest output stays in memory, where readers that keep up find it. */
const tailBytes = 512 * 1024;
/** Output in memory from which a process waits for the disk. */
const highMemoryBytes = 1024 * 1024;
/** Room for the last reads of both pipes of an ended process, and for blocks that are partly acknowledged. */
const slackBytes = 1024 * 1024;
/** What an ended process may write beyond the limit of a log that blocks: what is left in its pipes. */
const afterEndBytes = 256 * 1024;
const flushBytes = 1024 * 1024;
const diskRetryMs = 1000;

/**
 * The output of one process, of all its streams in the order in which envd read it. Bytes have positions that never
 * change. What was not dropped can be read from any position, any number of times.
 *
 * The newest part is in memory and the rest in a file. So a short output never touches the disk, and a reader is only a
 * position: however slowly it reads, it needs no queue and nobody waits for it.
 *
 * There are two counts. A _position_ counts output. A _place_ counts stored bytes, which include the heads of records.
 */
export interface OutputLog extends Spillable {
  readonly maxBytes: number;
  readonly policy: LogPolicy;
  /** The oldest position that is kept. */
  readonly oldest: number;
  /** The position of the next byte. */
  readonly end: number;
  readonly acknowledged: number;
  /** Whether the end is final. */
  readonly isClosed: boolean;
  /** Called after each append, drop and close. Whoever waits adds one, and removes it at the end of its wait. */
  readonly listeners: Set<() => void>;
  /** Resolves when the process may be read from. */
  ready(): Promise<void>;
  /** Copies the bytes. */
  append(stream: StreamNumber, bytes: Uint8Array): void;
  /** The caller needs nothing before the position any more. Throws position_out_of_range beyond the end. */
  acknowledge(position: number): void;
  /** The process has ended, but its pipes can still contain output, which a full log has to take. */
  processExited(): void;
  /** There will be no more output. */
  close(): void;
  /** Drops everything. */
  release(): void;
  /** From now on somebody may have views of the memory. */
  addReader(): void;
  removeReader(): void;
  // For readers, see log-reader.ts.
  readonly endPlace: number;
  /** The place and the length of the record that the next append may extend. Undefined if none may be. */
  readonly openRecord: { readonly place: number; readonly length: number } | undefined;
  readonly streamEnds: Readonly<StreamPositions>;
  readonly firstBlock: Block | undefined;
  /** The place after what is on the disk. */
  readonly diskEndPlace: number;
  blockAt(by: 'position' | 'place', value: number): Block | undefined;
  /** Reads a part of a block on the disk. Undefined if it is no longer kept. */
  readFile(place: number, length: number): Promise<Buffer | undefined>;
  /** Drops everything on the disk up to the block at the place, because it cannot be read. */
  lose(place: number): void;
}

export function createOutputLog(options: OutputLogOptions): OutputLog {
  const fileSizeBytes = options.maxBytes + slackBytes;
  const file = createRingFile(options.path, fileSizeBytes);
  const blocks = createBlockList({
    useMemory: (changeBytes) => options.budget.useMemory(log, changeBytes),
    mayKeepSpare: () => state === 'open' && !isSpilling,
  });
  let acknowledgedTo = 0;
  /** Bytes of the file that count in the budget. */
  let diskBytes = 0;
  let isFlushing = false;
  let isSpilling = false;
  let diskTimer: NodeJS.Timeout | undefined;
  let state: 'open' | 'failed' | 'closed' | 'released' = 'open';
  let hasExited = false;
  /** For those who write to the log. */
  let change = Promise.withResolvers<undefined>();

  function mustWait(): boolean {
    if (options.policy === 'block' && unacknowledgedBytes() >= limit() + (hasExited ? afterEndBytes : 0)) return true;
    if (!isFlushing) return false;
    return blocks.memoryBytes >= highMemoryBytes || options.budget.isShort();
  }

  /** While the disk takes nothing, the log is full when the memory for it is. */
  function limit(): number {
    return diskTimer !== undefined && blocks.memoryBytes >= highMemoryBytes ? 0 : options.maxBytes;
  }

  /** The stored bytes that nobody has acknowledged. Heads of a partly acknowledged block count in full. */
  function unacknowledgedBytes(): number {
    const block = blocks.find('position', acknowledgedTo) ?? blocks.all[0];
    if (block === undefined || acknowledgedTo >= blocks.endPosition) return 0;
    const acknowledged = Math.max(0, Math.min(acknowledgedTo - block.position, block.outputBytes));
    const rest = acknowledged === block.outputBytes ? 0 : block.length - acknowledged;
    return blocks.endPlace - block.place - block.length + rest;
  }

  function keepLimits(): void {
    if (options.policy === 'drop-oldest') dropOldest();
    else dropAcknowledged();
    if (options.policy === 'fail' && state === 'open' && unacknowledgedBytes() > limit()) {
      state = 'failed';
      options.onFull();
    }
  }

  function dropOldest(): void {
    const keptAfterFirst = (): number => blocks.endPlace - (blocks.all[0]?.place ?? 0) - (blocks.all[0]?.length ?? 0);
    while (blocks.all.length > 1 && keptAfterFirst() >= options.maxBytes) blocks.dropFirst();
    const isShort = options.budget.isShort();
    if (diskTimer === undefined || (blocks.memoryBytes < highMemoryBytes && !isShort)) return;
    // The newest output is worth more than what the disk has.
    const tail = isShort ? 0 : tailBytes;
    while (blocks.all.length > 1 && blocks.memoryBytes > tail) blocks.dropFirst();
  }

  function dropAcknowledged(): void {
    for (;;) {
      const [first] = blocks.all;
      if (first === undefined || first === blocks.openBlock) return;
      if (blocks.endPlace - first.place <= options.maxBytes && diskTimer === undefined) return;
      if (first.position + first.outputBytes > acknowledgedTo) return;
      blocks.dropFirst();
    }
  }

  function dropAll(): void {
    while (blocks.all.length > 0) blocks.dropFirst();
    loseDisk();
  }

  function loseDisk(): void {
    while (blocks.onDisk > 0) blocks.dropFirst();
    void file.remove();
    giveDisk(diskBytes);
    wake();
  }

  function flush(): void {
    if (!options.usesDisk || isFlushing || diskTimer !== undefined) return;
    if (state === 'released') return;
    isFlushing = true;
    // Later, because this may be called in the middle of an append.
    queueMicrotask(() => void flushAll().catch((error: unknown) => diskFailed(error)));
  }

  async function flushAll(): Promise<void> {
    try {
      for (let batch = nextBatch(); batch.length > 0; batch = nextBatch()) {
        const length = batch.reduce((sum, block) => sum + block.length, 0);
        const growth = takeDisk(length);
        const parts = batch.map((block) => block.bytes?.subarray(0, block.length) ?? new Uint8Array());
        try {
          await file.write(batch[0]?.place ?? 0, parts);
        } catch (error) {
          giveDisk(growth);
          throw error;
        }
        for (const block of batch) blocks.markWritten(block);
        wake();
      }
    } finally {
      isFlushing = false;
      isSpilling = false;
      if (state === 'released') await file.remove();
    }
  }

  /** Blocks in memory to write next. Nothing is appended to them any more. */
  function nextBatch(): Block[] {
    if (state === 'released') return [];
    if (isSpilling) blocks.closeBlock();
    const batch: Block[] = [];
    let length = 0;
    let left = blocks.memoryBytes;
    for (let index = blocks.onDisk; index < blocks.all.length && length < flushBytes; index += 1) {
      const block = blocks.all[index];
      if (block === undefined || block === blocks.openBlock || (!isSpilling && left <= tailBytes)) break;
      batch.push(block);
      length += block.length;
      left -= block.bytes?.length ?? 0;
    }
    return batch;
  }

  /** Returns by how much the file will grow. */
  function takeDisk(length: number): number {
    const growth = Math.min(length, fileSizeBytes - diskBytes);
    if (!options.budget.takeDisk(growth))
      throw new SoulBoxError('limit_exceeded', 'The logs of all processes use the room that they may use.');
    diskBytes += growth;
    return growth;
  }

  /** Less, if the log was dropped meanwhile and has given back everything. */
  function giveDisk(growth: number): void {
    const bytes = Math.min(growth, diskBytes);
    diskBytes -= bytes;
    options.budget.giveDisk(bytes);
  }

  /** Tries again after a while. Until then, what fits into memory is kept. */
  function diskFailed(error: unknown): void {
    if (state === 'released') return;
    if (!file.exists) loseDisk();
    options.onDiskFailure(error);
    diskTimer = setTimeout(() => {
      diskTimer = undefined;
      if (blocks.memoryBytes > tailBytes) flush();
      wake();
    }, diskRetryMs);
    keepLimits();
    wake();
  }

  function wake(): void {
    const { resolve } = change;
    change = Promise.withResolvers();
    resolve(undefined);
    for (const listener of log.listeners) listener();
  }

  function lose(place: number): void {
    while (blocks.onDisk > 0 && (blocks.all[0]?.place ?? Infinity) <= place) blocks.dropFirst();
    wake();
  }

  const log: OutputLog = {
    maxBytes: options.maxBytes,
    policy: options.policy,
    listeners: new Set(),
    get oldest(): number {
      return blocks.all[0]?.position ?? blocks.endPosition;
    },
    get end(): number {
      return blocks.endPosition;
    },
    get acknowledged(): number {
      return acknowledgedTo;
    },
    get isClosed(): boolean {
      return state === 'closed' || state === 'released';
    },
    async ready(): Promise<void> {
      while (state === 'open' && mustWait()) await change.promise;
    },
    append(stream: StreamNumber, bytes: Uint8Array): void {
      if (state !== 'open') return;
      blocks.append(stream, bytes);
      keepLimits();
      if (blocks.memoryBytes > tailBytes) flush();
      wake();
    },
    acknowledge(position: number): void {
      if (position > blocks.endPosition) throw outOfRange(position, blocks.endPosition);
      if (position <= acknowledgedTo) return;
      acknowledgedTo = position;
      keepLimits();
      wake();
    },
    processExited(): void {
      hasExited = true;
      wake();
    },
    close(): void {
      if (state === 'released') return;
      state = 'closed';
      blocks.dropSpare();
      options.budget.mayDrop(log, () => dropAll());
      wake();
    },
    release(): void {
      state = 'released';
      clearTimeout(diskTimer);
      dropAll();
      blocks.dropSpare();
      options.budget.forget(log);
    },
    spill(): void {
      if (options.usesDisk) {
        isSpilling = true;
        flush();
      } else while (blocks.all.length > 1) blocks.dropFirst();
      blocks.dropSpare();
    },
    addReader: () => blocks.addReader(),
    removeReader: () => blocks.removeReader(),
    get endPlace(): number {
      return blocks.endPlace;
    },
    get openRecord(): { readonly place: number; readonly length: number } | undefined {
      return blocks.openRecord;
    },
    get streamEnds(): Readonly<StreamPositions> {
      return blocks.streamEnds;
    },
    get firstBlock(): Block | undefined {
      return blocks.all[0];
    },
    get diskEndPlace(): number {
      const last = blocks.all[blocks.onDisk - 1];
      return last === undefined ? (blocks.all[0]?.place ?? blocks.endPlace) : last.place + last.length;
    },
    blockAt(by: 'position' | 'place', value: number): Block | undefined {
      return blocks.find(by, value);
    },
    async readFile(place: number, length: number): Promise<Buffer | undefined> {
      const bytes = await file.read(place, length).catch(() => undefined);
      if (bytes === undefined) lose(place);
      return place >= (blocks.all[0]?.place ?? blocks.endPlace) ? bytes : undefined;
    },
    lose,
  };
  return log;
}

export function outOfRange(position: number, end: number): SoulBoxError {
  return new SoulBoxError('position_out_of_range', `Position ${position} is beyond the end of the output, ${end}.`);
}
