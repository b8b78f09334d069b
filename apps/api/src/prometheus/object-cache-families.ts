import type { ApiContext } from '../context.ts';
import type { ObjectCacheFigures } from '../meters/object-cache-figures.ts';
import type { MetricFamily } from '../meters/text-format.ts';

type Level = ObjectCacheFigures['levels'][number];

type OfLevel = readonly [
  name: string,
  type: MetricFamily['type'],
  help: string,
  /** Undefined: the level does not know it. */
  read: (level: Level) => number | undefined,
];

const ofLevels: readonly OfLevel[] = [
  ['hits_total', 'counter', 'Objects that a level of the cache had.', ({ hits }) => hits],
  ['hit_bytes_total', 'counter', 'Bytes of these objects.', ({ hitBytes }) => hitBytes],
  ['misses_total', 'counter', 'Objects that it did not have.', ({ misses }) => misses],
  ['errors_total', 'counter', 'Reads for which it did not work, or was too slow.', ({ errors }) => errors],
  [
    'skipped_total',
    'counter',
    'Reads that did not ask it, because it had not worked before.',
    ({ skipped }) => skipped,
  ],
  ['wrong_total', 'counter', 'Objects of it that were not what was written.', ({ wrong }) => wrong],
  [
    'resting',
    'gauge',
    '1 while it is not asked, because it does not work.',
    ({ state }) => (state === 'resting' ? 1 : 0),
  ],
  ['bytes', 'gauge', 'Bytes that it holds.', ({ content }) => content?.bytes],
  ['max_bytes', 'gauge', 'Bytes that it may hold.', ({ content }) => content?.maxBytes],
  ['evictions_total', 'counter', 'Objects that made room for others.', ({ content }) => content?.evictions],
];

type Whole = readonly [name: string, help: string, read: (figures: ObjectCacheFigures) => number];

const ofAll: readonly Whole[] = [
  ['store_reads_total', 'Objects that no level had, read from the store.', ({ sourceReads }) => sourceReads],
  ['store_bytes_total', 'Bytes of these objects.', ({ sourceBytes }) => sourceBytes],
  ['shared_total', 'Reads that waited for another read of the same object.', ({ shared }) => shared],
  ['ahead_total', 'Objects that were read before they were asked for.', ({ ahead }) => ahead],
];

/** Empty without a cache of objects. */
export async function objectCacheFamilies({ readObjectCache }: ApiContext): Promise<MetricFamily[]> {
  const figures = await readObjectCache();
  if (figures === undefined) return [];
  const perLevel = ofLevels.map(([name, type, help, read]) => ({
    ...{ name: `soulbox_storage_cache_${name}`, help, type },
    samples: figures.levels.flatMap((level) => {
      const value = read(level);
      return value === undefined ? [] : [{ labels: { level: level.level }, value }];
    }),
  }));
  const whole = ofAll.map(([name, help, read]) => ({
    ...{ name: `soulbox_storage_cache_${name}`, help, type: 'counter' as const },
    samples: [{ labels: {}, value: read(figures) }],
  }));
  return [...perLevel.filter(({ samples }) => samples.length > 0), ...whole];
}
