import { mkdir, readdir, readFile, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { writeFileAtomic } from '@soulbox/base';
import type { Clock, Logger } from '@soulbox/base';
import { copySourceSchema } from '../../registry/snapshot-store.ts';
import { upgrade } from '../../registry/record-files.ts';
import type { RecordSeal } from '../../registry/record-seal.ts';

const contextSchema = z.object({
  user: z.string(),
  workdir: z.string(),
  variables: z.record(z.string(), z.string()),
});

/** A finished step: the state that the next step starts from. */
const stepSchema = z.object({
  kind: z.literal('step'),
  /** Topmost first. All are sealed. */
  layers: z.array(z.string()),
  context: contextSchema,
});

/** A finished build. */
const resultSchema = z.object({
  kind: z.literal('result'),
  source: z.preprocess(upgrade, copySourceSchema),
  /** Id of the sandbox that it was made from. */
  sandboxId: z.string(),
  sizeBytes: z.number(),
  variables: z.record(z.string(), z.string()),
});

/** The root of an image, in the template store. */
const imageSchema = z.object({ kind: z.literal('image'), templateId: z.string() });

const entrySchema = z.discriminatedUnion('kind', [stepSchema, resultSchema, imageSchema]);
const keyForm = /^[0-9a-f]{64}$/;

export type CachedResult = z.infer<typeof resultSchema>;
type Entry = z.infer<typeof entrySchema>;

/** Checkpoints and layers that the cache protects from garbage collection. */
export interface CacheHolding {
  readonly checkpoints: readonly string[];
  readonly layers: readonly string[];
}

export interface CacheItem {
  readonly key: string;
  readonly entry: Entry;
  readonly usedAtMs: number;
}

/**
 * The results of earlier builds and their steps, one file each: `<directory>/<key>.json`. Files are encrypted because they
 * contain variables. The modification time is the time of the last use. An entry is written when everything that
 * it names is on the disk.
 */
export interface LayerCache {
  find<Kind extends Entry['kind']>(key: string, kind: Kind): Extract<Entry, { kind: Kind }> | undefined;
  write(key: string, entry: Entry): Promise<void>;
  /** Records that they were used now. Never throws. */
  touch(keys: readonly string[]): Promise<void>;
  remove(key: string): Promise<void>;
  list(): readonly CacheItem[];
  holding(): CacheHolding;
}

/** Opens the cache. Unreadable entries are removed, because a build makes them again. */
export async function openLayerCache(
  directory: string,
  clock: Clock,
  logger: Logger,
  seal: RecordSeal,
): Promise<LayerCache> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const pathOf = (key: string): string => join(directory, `${key}.json`);
  const items = new Map<string, CacheItem>();
  for (const name of await readdir(directory)) {
    const key = name.slice(0, -'.json'.length);
    try {
      if (!keyForm.test(key)) throw new Error('not the name of an entry');
      const content: unknown = JSON.parse(await readFile(join(directory, name), 'utf8'));
      const entry = entrySchema.parse(await seal.open('build-cache', key, content));
      items.set(key, { key, entry, usedAtMs: (await stat(join(directory, name))).mtimeMs });
    } catch (err) {
      logger.warn({ file: name, err }, 'entry of the layer cache removed');
      await rm(join(directory, name), { force: true });
    }
  }
  return {
    find(key, kind) {
      const entry = items.get(key)?.entry;
      return entry?.kind === kind ? (entry as Extract<Entry, { kind: typeof kind }>) : undefined;
    },
    async write(key, entry) {
      await writeFileAtomic(pathOf(key), await seal.textOf('build-cache', key, entry));
      items.set(key, { key, entry, usedAtMs: clock.now() });
    },
    async touch(keys) {
      const now = clock.now();
      for (const key of keys) {
        const item = items.get(key);
        if (item === undefined) continue;
        items.set(key, { ...item, usedAtMs: now });
        await utimes(pathOf(key), now / 1000, now / 1000).catch(() => undefined);
      }
    },
    async remove(key) {
      items.delete(key);
      await rm(pathOf(key), { force: true });
    },
    list: () => [...items.values()],
    holding() {
      const entries = [...items.values()].map(({ entry }) => entry);
      return {
        checkpoints: entries.flatMap((entry) => (entry.kind === 'result' ? [entry.source.stateId] : [])),
        layers: entries.flatMap((entry) => layersOf(entry)),
      };
    },
  };
}

export function layersOf(entry: Entry): readonly string[] {
  if (entry.kind === 'step') return entry.layers;
  return entry.kind === 'result' ? entry.source.layers : [];
}
