interface ProcessorTicks {
  readonly idle: number;
  readonly total: number;
}

/** Parses the first line of /proc/stat: ticks by kind. Of these, idle and iowait are unused time. */
export function parseProcessorTicks(text: string): ProcessorTicks {
  const ticks = (/^cpu +([\d ]+)$/m.exec(text)?.[1] ?? '').split(' ').map(Number);
  // The last two (guest) are already included in the first two.
  const total = ticks.slice(0, 8).reduce((sum, value) => sum + value, 0);
  return { idle: (ticks[3] ?? 0) + (ticks[4] ?? 0), total };
}

interface Memory {
  readonly totalBytes: number;
  readonly usedBytes: number;
  readonly cacheBytes: number;
}

/** Parses /proc/meminfo, whose values are all in KiB. */
export function parseMemory(text: string): Memory {
  const valueOf = (name: string): number =>
    Number(new RegExp(`^${name}: *(\\d+) kB$`, 'm').exec(text)?.[1] ?? 0) * 1024;
  const totalBytes = valueOf('MemTotal');
  const cacheBytes = valueOf('Cached') + valueOf('Buffers') + valueOf('SReclaimable');
  return { totalBytes, usedBytes: Math.max(totalBytes - valueOf('MemAvailable'), 0), cacheBytes };
}
