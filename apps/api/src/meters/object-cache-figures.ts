import { z } from 'zod';

const levelSchema = z.object({
  level: z.enum(['memory', 'redis', 'http']),
  ...{ hits: z.number(), hitBytes: z.number(), misses: z.number() },
  ...{ errors: z.number(), skipped: z.number(), wrong: z.number() },
  /** `resting`: it does not work, and is not asked for a while. */
  state: z.enum(['working', 'resting']),
  content: z.object({ bytes: z.number(), maxBytes: z.number(), entries: z.number(), evictions: z.number() }).optional(),
});

export const objectCacheFiguresSchema = z.object({
  levels: z.array(levelSchema).readonly(),
  ...{ sourceReads: z.number(), sourceBytes: z.number(), shared: z.number(), ahead: z.number() },
});

/** What the levels of the cache of objects have done since the start of its process (docs/cache.md). */
export type ObjectCacheFigures = Readonly<z.infer<typeof objectCacheFiguresSchema>>;
