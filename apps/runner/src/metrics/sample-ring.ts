/** The figures of one sample, in this order in the ring. Bytes, counts, seconds; `atMs` since the Unix epoch. */
export const sampleFields = [
  'atMs',
  'cpuUsedPct',
  'cpuUsedSeconds',
  'memoryRssBytes',
  'memoryCacheBytes',
  'memorySwapBytes',
  'memoryWorkingSetBytes',
  'memoryLimitBytes',
  'diskUsedBytes',
  'diskTotalBytes',
  'diskReadBytes',
  'diskWrittenBytes',
  'networkReceivedBytes',
  'networkSentBytes',
  'networkReceivedPackets',
  'networkSentPackets',
] as const;

export type Sample = Readonly<Record<(typeof sampleFields)[number], number>>;

const width = sampleFields.length;
/** Initial capacity of a ring. It doubles when the ring is full, so a short-lived sandbox uses little memory. */
const firstRoom = 64;

/** The newest `capacity` samples of one sandbox as plain numbers. Each sample takes 128 bytes. */
export interface SampleRing {
  push(sample: Sample): void;
  /** Samples with `fromMs <= atMs <= toMs`, oldest first. */
  range(fromMs: number, toMs: number): Sample[];
}

export function createSampleRing(capacity: number): SampleRing {
  let room = Math.min(firstRoom, capacity);
  let cells = new Float64Array(room * width);
  let count = 0;
  /** Index of the oldest sample. It stays 0 until the ring has grown to its capacity. */
  let oldest = 0;

  const read = (position: number): Sample => {
    const start = ((oldest + position) % room) * width;
    const sample = {} as { -readonly [K in keyof Sample]: number };
    for (const [column, name] of sampleFields.entries()) sample[name] = cells[start + column] ?? 0;
    return sample;
  };

  return {
    push(sample) {
      if (count === room && room < capacity) {
        room = Math.min(room * 2, capacity);
        const larger = new Float64Array(room * width);
        larger.set(cells);
        cells = larger;
      }
      let cell = ((oldest + count) % room) * width;
      for (const name of sampleFields) cells[cell++] = sample[name];
      if (count < room) count++;
      else oldest = (oldest + 1) % room;
    },
    range(fromMs, toMs) {
      const found: Sample[] = [];
      for (let position = 0; position < count; position++) {
        const atMs = cells[((oldest + position) % room) * width] ?? 0;
        if (atMs >= fromMs && atMs <= toMs) found.push(read(position));
      }
      return found;
    },
  };
}
