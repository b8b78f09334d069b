import { readFileSync } from 'node:fs';

/** Bytes. */
export interface HostMemory {
  readonly totalBytes: number;
  /** The kernel's estimate of what new work can get without swapping (proc_meminfo(5), `MemAvailable`). */
  readonly availableBytes: number;
}

export function readHostMemory(): HostMemory {
  const text = readFileSync('/proc/meminfo', 'utf8');
  const bytesOf = (name: string): number => {
    const kib = new RegExp(`^${name}: +(\\d+) kB$`, 'm').exec(text)?.[1];
    if (kib === undefined) throw new Error(`/proc/meminfo has no ${name}`);
    return Number(kib) * 1024;
  };
  return { totalBytes: bytesOf('MemTotal'), availableBytes: bytesOf('MemAvailable') };
}
