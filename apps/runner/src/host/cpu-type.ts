import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';

let known: Promise<string> | undefined;

/**
 * A digest of the CPU features of this host. Programs select their code by CPU features at their start, so a checkpoint
 * can be restored only on a host with the same features. Read once, because the CPU of a running host does not change.
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
