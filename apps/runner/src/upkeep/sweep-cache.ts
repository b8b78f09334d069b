import { stat } from 'node:fs/promises';
import type { BuildContext } from '../builds/builds.ts';
import { layersOf } from '../builds/cache/layer-cache.ts';
import type { CacheItem } from '../builds/cache/layer-cache.ts';

type SweepContext = Omit<BuildContext, 'maker'>;

/** Each round reads every file of the cache. */
const everyMs = 60_000;

/**
 * Keeps the cache below its limits of age and size, and removes unneeded roots of images. The returned function may be
 * called often; it runs at most once in `everyMs`.
 */
export function createCacheSweeper(context: SweepContext): () => Promise<void> {
  let sweptAtMs = -Infinity;
  return async () => {
    if (context.clock.now() - sweptAtMs < everyMs) return;
    sweptAtMs = context.clock.now();
    await sweepCache(context);
  };
}

/** Does one round now. */
export async function sweepCache(context: SweepContext): Promise<void> {
  const { builds, host, clock, references } = context;
  const oldestMs = clock.now() - host.config.buildCacheHours * 3_600_000;
  const old = builds.cache.list().filter(({ usedAtMs }) => usedAtMs < oldestMs);
  for (const { key } of old) await builds.cache.remove(key);
  const large = await findTooMuch(context, host.config.buildCacheMb * 2 ** 20);
  for (const { key } of large) await builds.cache.remove(key);
  const count = old.length + large.length;
  if (count > 0) {
    host.logger.info({ count }, 'entries of the layer cache removed');
    await references.collect();
  }
  await removeUnneededImages(context);
}

/**
 * The items above the limit. The newest use is kept first; of items used at the same time, the one with fewer layers.
 */
async function findTooMuch(context: SweepContext, maxBytes: number): Promise<CacheItem[]> {
  const newestFirst = context.builds.cache
    .list()
    .toSorted((a, b) => b.usedAtMs - a.usedAtMs || layersOf(a.entry).length - layersOf(b.entry).length);
  const measure = createMeasure(context);
  let bytes = 0;
  const tooMuch: CacheItem[] = [];
  for (const item of newestFirst) {
    bytes += await measure(item);
    if (bytes > maxBytes) tooMuch.push(item);
  }
  return tooMuch;
}

/** Bytes that only this item uses: not counted are earlier items, and what snapshots and sandboxes need anyway. */
function createMeasure({ host, snapshots, table, templates }: SweepContext): (item: CacheItem) => Promise<number> {
  const counted = new Set([
    ...snapshots.list().flatMap(({ layers, stateId: checkpointId }) => [...layers, checkpointId]),
    ...table.all().flatMap(({ record }) => record.layers),
  ]);
  const once = async (id: string, measure: () => Promise<number>): Promise<number> => {
    if (counted.has(id)) return 0;
    counted.add(id);
    return await measure().catch(() => 0);
  };
  return async ({ entry }) => {
    let bytes = 0;
    for (const id of layersOf(entry))
      bytes += await once(id, async () => (await stat(host.checkpoints.layerPath(id))).blocks * 512);
    if (entry.kind === 'result')
      bytes += await once(
        entry.source.stateId,
        async () => (await host.checkpoints.find(entry.source.stateId))?.sizeBytes ?? 0,
      );
    if (entry.kind === 'image')
      bytes += await once(entry.templateId, async () => (await templates.find(entry.templateId))?.sizeBytes ?? 0);
    return bytes;
  };
}

/** A root of an image stays as long as anything uses it. */
async function removeUnneededImages({ builds, host, snapshots, table, templates, clock }: SweepContext): Promise<void> {
  const isNeeded = (templateId: string): boolean =>
    builds.isHeld(templateId) ||
    builds.cache.list().some(({ entry }) => entry.kind !== 'step' && idOf(entry) === templateId) ||
    snapshots.list().some((snapshot) => snapshot.templateId === templateId) ||
    table.all().some(({ record }) => record.templateId === templateId);
  for (const { templateId, imageDigest, createdAt } of await templates.list()) {
    // A root that was just made gets its cache entry in a moment.
    const isNew = clock.now() - Date.parse(createdAt) < everyMs;
    if (imageDigest === undefined || isNew || isNeeded(templateId)) continue;
    await templates.remove(templateId, isNeeded);
    host.logger.info({ templateId, imageDigest }, 'root of an image removed');
  }
}

function idOf(entry: Exclude<CacheItem['entry'], { kind: 'step' }>): string {
  return entry.kind === 'image' ? entry.templateId : entry.source.templateId;
}
