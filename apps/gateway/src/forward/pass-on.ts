import type { Readable, Writable } from 'node:stream';
import type { Holding } from './unread.ts';
import { countForMinorGc } from './minor-gc.ts';

/** What a chunk costs beside its bytes: objects of Node's streams. A sender of single bytes would go uncounted without it. */
const chunkOverheadBytes = 512;
/** Nothing more is read from the sender while so much waits for the reader. */
const waitingMaxBytes = 128 * 1024;

/**
 * Gives `sink` all that comes out of `source`, at the pace of the slower side, and counts what waits between them. Unlike `pipe` it counts
 * chunks too, and it leaves the end of `source` to the caller. `cut` may hold something of a chunk back until later ones come.
 */
export function passOn(
  source: Readable,
  sink: Writable,
  holding: Holding,
  cut: (chunk: Buffer) => readonly Uint8Array[] = (chunk) => [chunk],
): void {
  let waiting = 0;
  const goOn = (): void => {
    if (source.isPaused() && !sink.writableNeedDrain && waiting < waitingMaxBytes) source.resume();
  };
  const write = (piece: Uint8Array): void => {
    const cost = piece.byteLength + chunkOverheadBytes;
    waiting += cost;
    holding.add(cost);
    const hasRoom = sink.write(piece, () => {
      waiting -= cost;
      holding.release(cost);
      goOn();
    });
    if (!hasRoom || waiting >= waitingMaxBytes) source.pause();
  };
  countForMinorGc(source);
  source.on('data', (chunk: Buffer) => {
    if (sink.destroyed || sink.writableEnded) return;
    for (const piece of cut(chunk)) write(piece);
  });
  sink.on('drain', goOn);
}
