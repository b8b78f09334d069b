import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';

let known: Promise<string> | undefined;

/**
 * Names the CPU features of this host, as a digest: programs choose their code by them when they start, so a saved memory
 * goes on only where they are the same. Read once: a host does not change its CPU while it runs.
 */
export async function readCpuType(): Promise<string> {
  known ??= readFile('/proc/cpuinfo', 'latin1').then(cpuTypeOf);
  return await known;
}

/** `cpuinfo`: the text of /proc/cpuinfo. Features are `flags` on x86, `Features` on ARM. */
export function cpuTypeOf(cpuinfo: string): string {
  const lines = cpuinfo.split('\n').map((line) => line.split(':').map((part) => part.trim()));
  const features = lines.find(([name]) => name === 'flags' || name === 'Features')?.[1] ?? '';
  const vendor = lines.find(([name]) => name === 'vendor_id' || name === 'CPU implementer')?.[1] ?? '';
  const text = [vendor, ...features.split(' ').toSorted()].join(' ');
  return createHash('sha256').update(text).digest('hex').slice(0, 32);
}
