import { randomFillSync } from 'node:crypto';

const poolBytes = 8192;
const pool = Buffer.alloc(poolBytes);
let used = poolBytes;

/**
 * Random bytes of the kernel, at most 64. They are read in advance, because a call for each record would take a quarter
 * of its time. No byte is returned twice.
 */
export function takeRandom(bytes: number): Buffer {
  if (used + bytes > poolBytes) {
    randomFillSync(pool);
    used = 0;
  }
  const taken = Buffer.from(pool.subarray(used, used + bytes));
  pool.fill(0, used, used + bytes);
  used += bytes;
  return taken;
}
