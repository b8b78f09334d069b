import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/**
 * Every chunk that Node reads is a buffer of up to 64 KiB outside V8's heap. After 32 MiB of them V8 runs a full
 * collection on all cores, although only the chunks died. The minor collection that would free them runs when its own
 * space is full, and streaming hardly fills it. Requesting a minor collection every 8 MiB costs 0.2 ms. It reduced the
 * CPU time for passing on 1 GiB from 2.0 s to 1.1 s (docs/decisions/006-gateway.md).
 */
const bytesPerCollection = 8 * 1024 * 1024;

type Collect = (options: { type: 'minor' }) => void;

let collect: Collect | undefined;
let counted = 0;

/** Counts bytes that were read from a stream towards the next minor collection. */
export function countForMinorGc(bytes: number): void {
  counted += bytes;
  if (counted < bytesPerCollection) return;
  counted = 0;
  collect ??= findCollector();
  collect({ type: 'minor' });
}

/** V8 provides its collector only in contexts created while the flag is set. The flag is reset at once. */
function findCollector(): Collect {
  setFlagsFromString('--expose-gc');
  const found = runInNewContext('gc') as unknown;
  setFlagsFromString('--no-expose-gc');
  return typeof found === 'function' ? (found as Collect) : () => undefined;
}
