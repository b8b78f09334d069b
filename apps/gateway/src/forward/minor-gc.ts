import type { Readable } from 'node:stream';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/**
 * Every chunk Node reads is a buffer of up to 64 KiB outside V8's heap. V8 answers 32 MiB of them with a full
 * collection, on all cores, although nothing but the chunks died; the small collection that would free them waits for
 * its own space to fill, which streaming hardly does. Asking for the small one first, every 8 MiB, costs 0.2 ms and
 * took the CPU time of passing on 1 GiB from 2.0 s to 1.1 s (docs/decisions/006-gateway.md).
 */
const bytesPerCollection = 8 * 1024 * 1024;

type Collect = (options: { type: 'minor' }) => void;

let collect: Collect | undefined;
let bytes = 0;

/** Counts what streams out of `source` towards the next small collection. Adds a reader, so pipe `source` at once. */
export function countForMinorGc(source: Readable): void {
  source.on('data', (chunk: Uint8Array) => {
    bytes += chunk.byteLength;
    if (bytes < bytesPerCollection) return;
    bytes = 0;
    collect ??= findCollector();
    collect({ type: 'minor' });
  });
}

/** V8 hands its collector only to contexts made while the flag is set; the flag is taken back at once. */
function findCollector(): Collect {
  setFlagsFromString('--expose-gc');
  const found = runInNewContext('gc') as unknown;
  setFlagsFromString('--no-expose-gc');
  return typeof found === 'function' ? (found as Collect) : () => undefined;
}
