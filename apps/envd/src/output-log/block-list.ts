import { findBlock } from './blocks.ts';
import type { Block, StreamPositions } from './blocks.ts';
import { headerBytes, writeHead } from './records.ts';
import type { StreamNumber } from './records.ts';

/** The largest block, and so the largest output in one message. */
export const blockBytes = 128 * 1024;
const firstBufferBytes = 256;
const noBytes = Buffer.alloc(0);

export interface BlockListOptions {
  /** Called when buffers are taken or given back. */
  readonly useMemory: (changeBytes: number) => void;
  /** Whether the buffer of a dropped block may be kept for the next one. */
  readonly mayKeepSpare: () => boolean;
}

/**
 * The output of a log as a sequence of blocks. New output goes to a block in memory; the log moves the oldest blocks to
 * its file and drops them.
 */
export interface BlockList {
  /** In order. The first `onDisk` of them are in the file, the others in memory. */
  readonly all: readonly Block[];
  readonly onDisk: number;
  /** Of the buffers in `all`. */
  readonly memoryBytes: number;
  /** The position and the place of the next byte. */
  readonly endPosition: number;
  readonly endPlace: number;
  readonly streamEnds: Readonly<StreamPositions>;
  /** The last block while more can be appended to it. */
  readonly openBlock: Block | undefined;
  /** The record that the next append may extend. */
  readonly openRecord: { readonly place: number; readonly length: number } | undefined;
  find(by: 'position' | 'place', value: number): Block | undefined;
  /** Copies the bytes. */
  append(stream: StreamNumber, bytes: Uint8Array): void;
  /** Nothing more is appended to the last block. */
  closeBlock(): void;
  dropFirst(): void;
  /** The block is in the file. It may have been dropped meanwhile. */
  markWritten(block: Block): void;
  dropSpare(): void;
  /** From now on somebody may have views of the memory. */
  addReader(): void;
  removeReader(): void;
}

export function createBlockList({ useMemory, mayKeepSpare }: BlockListOptions): BlockList {
  const blocks: Block[] = [];
  let onDisk = 0;
  let openBlock: Block | undefined;
  let lastRecord = { place: 0, stream: 0, length: 0 };
  let endPosition = 0;
  let endPlace = 0;
  const streamEnds: StreamPositions = [0, 0, 0];
  let memoryBytes = 0;
  let readerCount = 0;
  /** Makes output that nobody reads cost no fresh memory. The budget counts it, `memoryBytes` does not. */
  let spare: Buffer | undefined;

  /** Returns how many of the bytes it has taken. */
  function appendPart(stream: StreamNumber, bytes: Uint8Array): number {
    let block = openBlock;
    let extendsRecord = block !== undefined && lastRecord.stream === stream;
    if (block === undefined || block.length + (extendsRecord ? 0 : headerBytes) + 1 > blockBytes) {
      block = addBlock();
      extendsRecord = false;
    }
    const headLength = extendsRecord ? 0 : headerBytes;
    const taken = Math.min(bytes.length, blockBytes - block.length - headLength);
    const buffer = ensureCapacity(block, block.length + headLength + taken);
    if (extendsRecord) lastRecord.length += taken;
    else lastRecord = { place: endPlace, stream, length: taken };
    writeHead(buffer, lastRecord.place - block.place, stream, lastRecord.length);
    buffer.set(taken === bytes.length ? bytes : bytes.subarray(0, taken), block.length + headLength);
    block.length += headLength + taken;
    block.outputBytes += taken;
    endPlace += headLength + taken;
    endPosition += taken;
    streamEnds[stream - 1] = (streamEnds[stream - 1] ?? 0) + taken;
    return taken;
  }

  function addBlock(): Block {
    const block: Block = {
      place: endPlace,
      length: 0,
      position: endPosition,
      outputBytes: 0,
      streamPositions: [...streamEnds],
      bytes: readerCount === 0 ? spare : undefined,
    };
    dropSpare();
    if (block.bytes !== undefined) take(block.bytes.length);
    blocks.push(block);
    openBlock = block;
    return block;
  }

  function ensureCapacity(block: Block, neededBytes: number): Buffer {
    const present = block.bytes ?? noBytes;
    if (present.length >= neededBytes) return present;
    // After a full block, the output is probably large.
    const isMuch = (blocks.at(-2)?.length ?? 0) > blockBytes / 2;
    const firstSize = isMuch ? blockBytes : firstBufferBytes;
    const size = Math.min(blockBytes, Math.max(neededBytes, firstSize, present.length * 4));
    // Readers may still have views of the smaller one.
    const grown = Buffer.allocUnsafeSlow(size);
    present.copy(grown, 0, 0, block.length);
    block.bytes = grown;
    take(size - present.length);
    return grown;
  }

  function take(changeBytes: number): void {
    memoryBytes += changeBytes;
    useMemory(changeBytes);
  }

  function letGo(block: Block): void {
    const { bytes = noBytes } = block;
    block.bytes = undefined;
    take(-bytes.length);
    if (spare !== undefined || readerCount > 0 || bytes.length !== blockBytes || !mayKeepSpare()) return;
    spare = bytes;
    useMemory(bytes.length);
  }

  function dropSpare(): void {
    if (spare === undefined) return;
    useMemory(-spare.length);
    spare = undefined;
  }

  return {
    all: blocks,
    get onDisk() {
      return onDisk;
    },
    get memoryBytes() {
      return memoryBytes;
    },
    get endPosition() {
      return endPosition;
    },
    get endPlace() {
      return endPlace;
    },
    streamEnds,
    get openBlock() {
      return openBlock;
    },
    get openRecord() {
      return openBlock === undefined ? undefined : lastRecord;
    },
    find: (by, value) => findBlock(blocks, by, value),
    append(stream, bytes) {
      let from = 0;
      while (from < bytes.length) from += appendPart(stream, bytes.subarray(from));
    },
    closeBlock: () => void (openBlock = undefined),
    dropFirst() {
      const block = blocks.shift();
      if (block === undefined) return;
      if (block === openBlock) openBlock = undefined;
      if (block.bytes === undefined) onDisk -= 1;
      else letGo(block);
    },
    markWritten(block) {
      if (blocks[onDisk] !== block) return;
      letGo(block);
      const before = blocks[onDisk - 1];
      if (before !== undefined && before.length + block.length <= blockBytes) {
        before.length += block.length;
        before.outputBytes += block.outputBytes;
        blocks.splice(onDisk, 1);
      } else onDisk += 1;
    },
    dropSpare,
    addReader: () => void (readerCount += 1),
    removeReader: () => void (readerCount -= 1),
  };
}
