import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { OperationContext } from '../operations/operation-context.ts';
import { findNamed } from '../registry/named.ts';
import type { CopyName } from '../stored/local-uses.ts';

export interface EvictionLimits {
  /** For checkpoints and layers on this host. Undefined: all are kept. */
  readonly localBytes: number | undefined;
  /** What was used within this time is kept. Milliseconds. */
  readonly graceMs: number;
  /** Below this part of the host's disk, or these bytes if they are less, the disk is nearly full. */
  readonly fullShare: number;
  readonly fullBytes: number;
}

export const usualEvictionLimits = { graceMs: 60_000, fullShare: 0.05, fullBytes: 4 * 2 ** 30 };

export interface EvictionFigures {
  /** Of checkpoints and layers. */
  readonly localBytes: number;
  /** Since the start of the runner. */
  readonly evictions: number;
  readonly evictedBytes: number;
}

export interface Evictor {
  /** Removes what is too much. `isConfirmed` says whether the store has a parcel. */
  evict(isConfirmed: (parcel: string) => boolean): Promise<void>;
  figures(): EvictionFigures;
}

type EvictionContext = Pick<OperationContext, 'host' | 'table' | 'references' | 'clock'>;

interface Copy {
  readonly name: CopyName;
  readonly id: string;
  readonly sizeBytes: number;
  readonly lastUseMs: number;
}

/**
 * Removes checkpoints and layers from this host that the object store has too, the least recently used first. What a
 * running sandbox, an operation or a fetch in progress uses stays, and so does everything that is not confirmed.
 */
export function createEvictor(context: EvictionContext, limits: EvictionLimits): Evictor {
  const { host, references, clock } = context;
  const { dataDirectory, checkpoints, disks, stored, logger } = host;
  let localBytes = 0;
  const counts = { evictions: 0, evictedBytes: 0 };

  const findCopies = async (): Promise<Copy[]> => {
    const [states, layers] = [join(dataDirectory, 'states'), join(dataDirectory, 'layers')];
    const ids = await checkpoints.list();
    const images = (await readdir(layers)).filter((name) => name.endsWith('.img'));
    const found = [
      ...(await Promise.all(ids.map(async (id) => await describe(`states/${id}`, id, join(states, id))))),
      ...(await Promise.all(
        images.map(
          async (name) => await describe(`layers/${name.slice(0, -4)}`, name.slice(0, -4), join(layers, name)),
        ),
      )),
    ];
    return found.filter((copy) => copy !== undefined);
  };
  const describe = async (name: CopyName, id: string, path: string): Promise<Copy | undefined> => {
    const measured = await measure(path).catch(() => undefined);
    if (measured === undefined) return undefined;
    const lastUseMs = Math.max(stored.uses.lastUseMs(name) ?? 0, references.lastUseMs(id) ?? 0, measured.changedAtMs);
    return { name, id, sizeBytes: measured.sizeBytes, lastUseMs };
  };

  const findPinned = (): ((copy: Copy) => boolean) => {
    const busy = context.table
      .all()
      .map(({ record }) => record)
      .filter(({ state, sandboxId }) => state !== 'paused' || context.table.isBusy(sandboxId));
    const named = findNamed(busy, [], [references.held()]);
    return ({ name, id }) =>
      name.startsWith('states/') ? named.checkpoints.has(id) || stored.isArriving(id) : named.layers.has(id);
  };

  const excess = (): number => {
    const { freeBytes, reserveBytes, committedBytes, totalBytes } = disks.figures();
    const wanted = Math.min(limits.fullBytes, totalBytes * limits.fullShare);
    return Math.max(localBytes - (limits.localBytes ?? Infinity), wanted - (freeBytes - reserveBytes - committedBytes));
  };

  const remove = async ({ name, id }: Copy): Promise<void> => {
    if (name.startsWith('states/')) await checkpoints.remove(id);
    else await checkpoints.removeLayer(id);
  };

  return {
    async evict(isConfirmed) {
      const copies = await findCopies();
      localBytes = copies.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
      if (limits.localBytes === undefined) return;
      for (const copy of copies.toSorted((one, other) => one.lastUseMs - other.lastUseMs)) {
        if (excess() <= 0) return;
        const beforeMs = clock.now() - limits.graceMs;
        if (!isConfirmed(copy.name) || copy.lastUseMs > beforeMs || findPinned()(copy)) continue;
        if (!(await stored.uses.removeUnused(copy.name, beforeMs, async () => await remove(copy)))) continue;
        localBytes -= copy.sizeBytes;
        counts.evictions += 1;
        counts.evictedBytes += copy.sizeBytes;
        logger.info({ copy: copy.name, bytes: copy.sizeBytes }, 'removed from this host; the object store has it');
      }
    },
    figures: () => ({ localBytes, ...counts }),
  };
}

/** Bytes on the disk, and when it last changed. */
async function measure(path: string): Promise<{ readonly sizeBytes: number; readonly changedAtMs: number }> {
  const facts = await lstat(path);
  if (!facts.isDirectory()) return { sizeBytes: facts.blocks * 512, changedAtMs: facts.ctimeMs };
  const parts = await Promise.all((await readdir(path)).map(async (name) => await lstat(join(path, name))));
  const sizeBytes = parts.reduce((sum, { blocks }) => sum + blocks * 512, 0);
  return { sizeBytes, changedAtMs: facts.ctimeMs };
}
