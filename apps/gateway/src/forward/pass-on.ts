import type { Readable, Writable } from 'node:stream';
import { countForMinorGc } from '@soulbox/base/minor-gc';
import type { Holding } from './unread.ts';

/**
 * The cost of a chunk in addition to its bytes: objects of Node's streams. Without it, a sender of single bytes would
 * hardly be counted.
 */
const chunkOverheadBytes = 512;
/** Reading from the sender stops while this much waits for the reader. */
const waitingMaxBytes = 128 * 1024;

/**
 * Passes all data from `source` to `sink` at the pace of the slower side, and counts the data that waits between them.
 * Unlike `pipe` it also counts chunks, and it leaves the end of `source` to the caller. `cut` may hold back part of a
 * chunk until later ones arrive.
 */
export function passOn(
  source: Readable,
  sink: Writable,
  holding: Holding,
  cut: (chunk: Buffer) => readonly Uint8Array[] = (chunk) => [chunk],
): void {
  let waiting = 0;
  const resume = (): void => {
    if (source.isPaused() && !sink.writableNeedDrain && waiting < waitingMaxBytes) source.resume();
  };
  const write = (piece: Uint8Array): void => {
    const cost = piece.byteLength + chunkOverheadBytes;
    waiting += cost;
    holding.add(cost);
    const hasRoom = sink.write(piece, () => {
      waiting -= cost;
      holding.release(cost);
      resume();
    });
    if (!hasRoom || waiting >= waitingMaxBytes) source.pause();
  };
  source.on('data', (chunk: Buffer) => {
    countForMinorGc(chunk.byteLength);
    if (sink.destroyed || sink.writableEnded) return;
    for (const piece of cut(chunk)) write(piece);
  });
  sink.on('drain', resume);
}
