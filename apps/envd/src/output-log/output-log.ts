import { SoulBoxError } from '@soulbox/base';
import { findBlock } from './blocks.ts';
import type { Block, StreamPositions } from './blocks.ts';
import type { LogBudget, Spillable } from './log-budget.ts';
import { headerBytes, writeHead } from './records.ts';
import type { StreamNumber } from './records.ts';
import type { RingFile } from './ring-file.ts';
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

/** The largest block, and so the largest output in one message. */
export const blockBytes = 128 * 1024;
/** The newest output stays in memory, where readers that keep up find it. */
const tailBytes = 512 * 1024;
/** Output in memory from which a process waits for the disk. */
const highMemoryBytes = 1024 * 1024;
/** Room for the last reads of both pipes of an ended process, and for blocks that are partly acknowledged. */
const slackBytes = 1024 * 1024;
/** What an ended process may write beyond the limit of a log that blocks: what is left in its pipes. */
const afterEndBytes = 256 * 1024;
const flushBytes = 1024 * 1024;
const firstBufferBytes = 256;
const diskRetryMs = 1000;
const noBytes = Buffer.alloc(0);

/**
 * The output of one process, of all its streams in the order in which envd read it. Bytes have positions that never
 * change. What was not dropped can be read from any position, any number of times.
 *
 * The newest part is in memory and the rest in a file. So a short output never touches the disk, and a reader is only a
 * position: however slowly it reads, it needs no queue and nobody waits for it.
 *
 * There are two counts. A _position_ counts output. A _place_ counts stored bytes, which include the heads of records.
 */
export class OutputLog implements Spillable {
  readonly maxBytes: number;
  readonly policy: LogPolicy;
  readonly #options: OutputLogOptions;
  readonly #file: RingFile;
  readonly #fileSizeBytes: number;
  /** In order. The first `#onDisk` of them are in the file, the others in memory. */
  readonly #blocks: Block[] = [];
  #onDisk = 0;
  /** The last block while more can be appended to it. */
  #open: Block | undefined;
  #lastRecord = { place: 0, stream: 0, length: 0 };
  #end = 0;
  #endPlace = 0;
  readonly #streamEnds: StreamPositions = [0, 0, 0];
  #acknowledged = 0;
  #memory = 0;
  /** Bytes of the file that count in the budget. */
  #diskBytes = 0;
  #readers = 0;
  /** The buffer of a dropped block, for the next one. Output that nobody reads then costs no fresh memory. */
  #spare: Buffer | undefined;
  #isFlushing = false;
  #spills = false;
  #diskTimer: NodeJS.Timeout | undefined;
  #state: 'open' | 'failed' | 'closed' | 'released' = 'open';
  #hasExited = false;
  #change = Promise.withResolvers<undefined>();

  constructor(options: OutputLogOptions) {
    this.#options = options;
    this.maxBytes = options.maxBytes;
    this.policy = options.policy;
    this.#fileSizeBytes = options.maxBytes + slackBytes;
    this.#file = createRingFile(options.path, this.#fileSizeBytes);
  }

  /** The oldest position that is kept. */
  get oldest(): number {
    return this.#blocks[0]?.position ?? this.#end;
  }

  /** The position of the next byte. */
  get end(): number {
    return this.#end;
  }

  get acknowledged(): number {
    return this.#acknowledged;
  }

  /** Whether the end is final. */
  get isClosed(): boolean {
    return this.#state === 'closed' || this.#state === 'released';
  }

  /** Resolves at the next append, drop or close. All callers share one promise. */
  get changed(): Promise<undefined> {
    return this.#change.promise;
  }

  /** Resolves when the process may be read from. */
  async ready(): Promise<void> {
    while (this.#state === 'open' && this.#mustWait()) await this.changed;
  }

  /** Copies the bytes. */
  append(stream: StreamNumber, bytes: Uint8Array): void {
    if (this.#state !== 'open') return;
    let from = 0;
    while (from < bytes.length) from += this.#appendPart(stream, bytes.subarray(from));
    this.#keepLimits();
    if (this.#memory > tailBytes) this.#flush();
    this.#wake();
  }

  /** The caller needs nothing before the position any more. Throws position_out_of_range beyond the end. */
  acknowledge(position: number): void {
    if (position > this.#end) throw outOfRange(position, this.#end);
    if (position <= this.#acknowledged) return;
    this.#acknowledged = position;
    this.#keepLimits();
    this.#wake();
  }

  /** The process has ended, but its pipes can still contain output, which a full log has to take. */
  processExited(): void {
    this.#hasExited = true;
    this.#wake();
  }

  /** There will be no more output. */
  close(): void {
    if (this.#state === 'released') return;
    this.#state = 'closed';
    this.#spare = undefined;
    this.#options.budget.mayDrop(this, () => this.#dropAll());
    this.#wake();
  }

  /** Drops everything. */
  release(): void {
    this.#state = 'released';
    clearTimeout(this.#diskTimer);
    this.#dropAll();
    this.#options.budget.forget(this);
  }

  spill(): void {
    if (this.#options.usesDisk) {
      this.#spills = true;
      this.#flush();
    } else while (this.#blocks.length > 1) this.#dropFirst();
  }

  /** From now on somebody may have views of the memory. */
  addReader(): void {
    this.#readers += 1;
  }

  removeReader(): void {
    this.#readers -= 1;
  }

  // For readers, see log-reader.ts.

  get endPlace(): number {
    return this.#endPlace;
  }

  /** The place and the length of the record that the next append may extend. Undefined if none may be. */
  get openRecord(): { readonly place: number; readonly length: number } | undefined {
    return this.#open === undefined ? undefined : this.#lastRecord;
  }

  get streamEnds(): Readonly<StreamPositions> {
    return this.#streamEnds;
  }

  get firstBlock(): Block | undefined {
    return this.#blocks[0];
  }

  blockAt(by: 'position' | 'place', value: number): Block | undefined {
    return findBlock(this.#blocks, by, value);
  }

  /** Reads a part of a block on the disk. Undefined if it is no longer kept. */
  async readFile(place: number, length: number): Promise<Buffer | undefined> {
    const bytes = await this.#file.read(place, length).catch(() => undefined);
    if (bytes === undefined) this.lose(place);
    return place >= (this.#blocks[0]?.place ?? this.#endPlace) ? bytes : undefined;
  }

  /** Drops everything on the disk up to the block at the place, because it cannot be read. */
  lose(place: number): void {
    while (this.#onDisk > 0 && (this.#blocks[0]?.place ?? Infinity) <= place) this.#dropFirst();
    this.#wake();
  }

  /** Returns how many of the bytes it has taken. */
  #appendPart(stream: StreamNumber, bytes: Uint8Array): number {
    let block = this.#open;
    let extendsRecord = block !== undefined && this.#lastRecord.stream === stream;
    if (block === undefined || block.length + (extendsRecord ? 0 : headerBytes) + 1 > blockBytes) {
      block = this.#addBlock();
      extendsRecord = false;
    }
    const headLength = extendsRecord ? 0 : headerBytes;
    const taken = Math.min(bytes.length, blockBytes - block.length - headLength);
    const buffer = this.#ensureCapacity(block, block.length + headLength + taken);
    if (extendsRecord) this.#lastRecord.length += taken;
    else this.#lastRecord = { place: this.#endPlace, stream, length: taken };
    writeHead(buffer, this.#lastRecord.place - block.place, stream, this.#lastRecord.length);
    buffer.set(taken === bytes.length ? bytes : bytes.subarray(0, taken), block.length + headLength);
    block.length += headLength + taken;
    block.outputBytes += taken;
    this.#endPlace += headLength + taken;
    this.#end += taken;
    this.#streamEnds[stream - 1] = (this.#streamEnds[stream - 1] ?? 0) + taken;
    return taken;
  }

  #addBlock(): Block {
    const block: Block = {
      place: this.#endPlace,
      length: 0,
      position: this.#end,
      outputBytes: 0,
      streamPositions: [...this.#streamEnds],
      bytes: this.#readers === 0 ? this.#spare : undefined,
    };
    this.#spare = undefined;
    if (block.bytes !== undefined) this.#useMemory(block.bytes.length);
    this.#blocks.push(block);
    this.#open = block;
    return block;
  }

  #ensureCapacity(block: Block, neededBytes: number): Buffer {
    const present = block.bytes ?? noBytes;
    if (present.length >= neededBytes) return present;
    const size = Math.min(blockBytes, Math.max(neededBytes, firstBufferBytes, present.length * 4));
    // Readers may still have views of the smaller one.
    const grown = Buffer.allocUnsafeSlow(size);
    present.copy(grown, 0, 0, block.length);
    block.bytes = grown;
    this.#useMemory(size - present.length);
    return grown;
  }

  #useMemory(changeBytes: number): void {
    this.#memory += changeBytes;
    this.#options.budget.useMemory(this, changeBytes);
  }

  #mustWait(): boolean {
    if (this.policy === 'block' && this.#unacknowledged() >= this.#limit() + (this.#hasExited ? afterEndBytes : 0))
      return true;
    if (!this.#isFlushing) return false;
    return this.#memory >= highMemoryBytes || this.#options.budget.isShort();
  }

  /** While the disk takes nothing, the log is full when the memory for it is. */
  #limit(): number {
    return this.#diskTimer !== undefined && this.#memory >= highMemoryBytes ? 0 : this.maxBytes;
  }

  /** The stored bytes that nobody has acknowledged. Heads of a partly acknowledged block count in full. */
  #unacknowledged(): number {
    const block = this.blockAt('position', this.#acknowledged) ?? this.#blocks[0];
    if (block === undefined) return 0;
    const acknowledged = Math.max(0, Math.min(this.#acknowledged - block.position, block.outputBytes));
    const rest = acknowledged === block.outputBytes ? 0 : block.length - acknowledged;
    return this.#endPlace - block.place - block.length + rest;
  }

  #keepLimits(): void {
    if (this.policy === 'drop-oldest') this.#dropOldest();
    else this.#dropAcknowledged();
    if (this.policy === 'fail' && this.#state === 'open' && this.#unacknowledged() > this.#limit()) {
      this.#state = 'failed';
      this.#options.onFull();
    }
  }

  #dropOldest(): void {
    const keptAfterFirst = (): number =>
      this.#endPlace - (this.#blocks[0]?.place ?? 0) - (this.#blocks[0]?.length ?? 0);
    while (this.#blocks.length > 1 && keptAfterFirst() >= this.maxBytes) this.#dropFirst();
    const isShort = this.#options.budget.isShort();
    if (this.#diskTimer === undefined || (this.#memory < highMemoryBytes && !isShort)) return;
    // The newest output is worth more than what the disk has.
    const tail = isShort ? 0 : tailBytes;
    while (this.#blocks.length > 1 && this.#memory > tail) this.#dropFirst();
  }

  #dropAcknowledged(): void {
    for (;;) {
      const [first] = this.#blocks;
      if (first === undefined || first === this.#open) return;
      if (this.#endPlace - first.place <= this.maxBytes && this.#diskTimer === undefined) return;
      if (first.position + first.outputBytes > this.#acknowledged) return;
      this.#dropFirst();
    }
  }

  #dropFirst(): void {
    const block = this.#blocks.shift();
    if (block === undefined) return;
    if (block === this.#open) this.#open = undefined;
    if (block.bytes === undefined) this.#onDisk -= 1;
    else this.#letGo(block);
  }

  #letGo(block: Block): void {
    this.#useMemory(-(block.bytes?.length ?? 0));
    if (this.#readers === 0 && block.bytes?.length === blockBytes) this.#spare = block.bytes;
    block.bytes = undefined;
  }

  #dropAll(): void {
    while (this.#blocks.length > 0) this.#dropFirst();
    this.#loseDisk();
  }

  #loseDisk(): void {
    while (this.#onDisk > 0) this.#dropFirst();
    void this.#file.remove();
    this.#options.budget.giveDisk(this.#diskBytes);
    this.#diskBytes = 0;
    this.#wake();
  }

  #flush(): void {
    if (!this.#options.usesDisk || this.#isFlushing || this.#diskTimer !== undefined) return;
    if (this.#state === 'released') return;
    this.#isFlushing = true;
    // Later, because this may be called in the middle of an append.
    queueMicrotask(() => void this.#flushAll().catch((error: unknown) => this.#diskFailed(error)));
  }

  async #flushAll(): Promise<void> {
    try {
      for (let batch = this.#nextBatch(); batch.length > 0; batch = this.#nextBatch()) {
        const length = batch.reduce((sum, block) => sum + block.length, 0);
        this.#takeDisk(length);
        const parts = batch.map((block) => block.bytes?.subarray(0, block.length) ?? new Uint8Array());
        await this.#file.write(batch[0]?.place ?? 0, parts);
        for (const block of batch) this.#written(block);
        this.#wake();
      }
    } finally {
      this.#isFlushing = false;
      this.#spills = false;
      if (this.#state === 'released') await this.#file.remove();
    }
  }

  /** Blocks in memory to write next. Nothing is appended to them any more. */
  #nextBatch(): Block[] {
    if (this.#state === 'released') return [];
    if (this.#spills) this.#open = undefined;
    const batch: Block[] = [];
    let length = 0;
    let left = this.#memory;
    for (let index = this.#onDisk; index < this.#blocks.length && length < flushBytes; index += 1) {
      const block = this.#blocks[index];
      if (block === undefined || block === this.#open || (!this.#spills && left <= tailBytes)) break;
      batch.push(block);
      length += block.length;
      left -= block.bytes?.length ?? 0;
    }
    return batch;
  }

  #takeDisk(length: number): void {
    const growth = Math.min(length, this.#fileSizeBytes - this.#diskBytes);
    if (!this.#options.budget.takeDisk(growth))
      throw new SoulBoxError('limit_exceeded', 'The logs of all processes use the room that they may use.');
    this.#diskBytes += growth;
  }

  /** The block is in the file. It may have been dropped meanwhile. */
  #written(block: Block): void {
    if (this.#blocks[this.#onDisk] !== block) return;
    this.#letGo(block);
    const before = this.#blocks[this.#onDisk - 1];
    if (before !== undefined && before.length + block.length <= blockBytes) {
      before.length += block.length;
      before.outputBytes += block.outputBytes;
      this.#blocks.splice(this.#onDisk, 1);
    } else this.#onDisk += 1;
  }

  /** Tries again after a while. Until then, what fits into memory is kept. */
  #diskFailed(error: unknown): void {
    if (this.#state === 'released') return;
    if (!this.#file.exists) this.#loseDisk();
    this.#options.onDiskFailure(error);
    this.#diskTimer = setTimeout(() => {
      this.#diskTimer = undefined;
      if (this.#memory > tailBytes) this.#flush();
      this.#wake();
    }, diskRetryMs);
    this.#keepLimits();
    this.#wake();
  }

  #wake(): void {
    const { resolve } = this.#change;
    this.#change = Promise.withResolvers();
    resolve(undefined);
  }
}

export function outOfRange(position: number, end: number): SoulBoxError {
  return new SoulBoxError('position_out_of_range', `Position ${position} is beyond the end of the output, ${end}.`);
}
