import { callHttpService, readJson } from '@soulbox/rpc/http-call';
import { z } from 'zod';

const count = z.number().nonnegative();
const levelSchema = z.object({
  level: z.enum(['memory', 'redis', 'http']),
  ...{ hits: count, hitBytes: count, misses: count, errors: count, skipped: count, wrong: count },
  state: z.enum(['working', 'resting']),
  content: z.object({ bytes: count, maxBytes: count, entries: count, evictions: count }).optional(),
});
const figuresSchema = z.object({
  /** The nearest one first. Those that the operator has not set are absent. */
  levels: z.array(levelSchema).max(3),
  ...{ sourceReads: count, sourceBytes: count, shared: count, ahead: count },
});

/** What the cache of objects has done since the start of its process (docs/cache.md). */
export type CacheFigures = z.infer<typeof figuresSchema>;

const silenceMs = 2000;

/** Undefined: the process has no cache. Throws `storage_unavailable` if it is away. */
export async function readCacheFigures(socketPath: string, signal: AbortSignal): Promise<CacheFigures | undefined> {
  const service = {
    ...{ socketPath, name: 'process of the object store', unavailable: 'storage_unavailable' as const, silenceMs },
    wake: () => undefined,
  };
  const answer = await callHttpService({ method: 'GET', path: '/cache', signal }, service);
  return z.object({ cache: figuresSchema.optional() }).parse(await readJson(answer)).cache;
}
