import { trySyscall } from './libc.ts';
import { syscallNumbers as nr } from './syscall-numbers.ts';

/** The CPUs that envd may run on, as counted by `nproc`. */
export function processorCount(): number {
  const mask = new Uint8Array(1024);
  const sizeBytes = trySyscall(nr.schedGetaffinity, 0, mask.length, mask);
  let count = 0;
  for (const byte of mask.subarray(0, Math.max(sizeBytes, 0))) {
    for (let bits = byte; bits !== 0; bits &= bits - 1) count += 1;
  }
  return Math.max(count, 1);
}
