const level = { hits: 3, hitBytes: 30, misses: 1, errors: 0, skipped: 0, wrong: 0, state: 'working' } as const;

/** What a cache of objects with two levels reports. */
export const objectCacheFigures = {
  levels: [
    { ...level, level: 'memory', content: { bytes: 20, maxBytes: 100, entries: 2, evictions: 4 } },
    { ...level, level: 'redis', state: 'resting', errors: 5, skipped: 6, wrong: 7 },
  ],
  ...{ sourceReads: 8, sourceBytes: 80, shared: 9, ahead: 10 },
} as const;
