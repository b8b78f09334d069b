import { errorFromUnknown } from '@soulbox/base';
import { packOfRun, placeInRun } from './packs.ts';
import type { OpenedPack, Packs } from './packs.ts';

/** Packs that follow the one that is read, once two have been read in order. */
const aheadPacks = 4;
/** Packs in memory, 8 MiB each: those that are being read, and those that were fetched ahead. */
const keptPacks = 8;
/** Files that are read in order at the same time and are noticed. */
const streamsMax = 64;
/** Packs that are not there and are not asked for again. */
const missingMax = 1000;
/** A call to the process of the object store repeats by itself what the store did not answer. */
const fetchMs = 120_000;

export interface PackReader {
  /** The pack, and what follows it if the packs are read in order. Throws the errors of the store. */
  read(group: string, pack: string): Promise<OpenedPack>;
  /** The pack if it is in memory, as a read of it. */
  peek(group: string, pack: string): OpenedPack | undefined;
}

/**
 * Fetches packs, each once at a time, and remembers a few. `onFetched` is called for each, before anybody reads it. One
 * that could be fetched ahead and is not there is no error.
 */
export function createPackReader(
  packs: Packs,
  signal: AbortSignal,
  onFetched: (group: string, opened: OpenedPack) => void,
): PackReader {
  /** In the order of their last use. */
  const kept = new Map<string, Promise<OpenedPack>>();
  /** Those of `kept` that are here. */
  const here = new Map<string, OpenedPack>();
  /** The number of the last pack of each run that was read. */
  const streams = new Map<string, number>();
  /** Packs behind the end of a run, and collected ones. */
  const missing = new Set<string>();

  const fetch = async (group: string, pack: string): Promise<OpenedPack> => {
    const opened = await packs.get(group, pack, AbortSignal.any([signal, AbortSignal.timeout(fetchMs)]));
    onFetched(group, opened);
    return opened;
  };
  const use = (pack: string, fetching: Promise<OpenedPack>): void => {
    kept.delete(pack);
    kept.set(pack, fetching);
    for (const oldest of kept.keys()) {
      if (kept.size <= keptPacks) break;
      kept.delete(oldest);
      here.delete(oldest);
    }
  };
  const get = async (group: string, pack: string): Promise<OpenedPack> => {
    const fetching = kept.get(pack) ?? fetch(group, pack);
    use(pack, fetching);
    try {
      const opened = await fetching;
      if (kept.get(pack) === fetching) here.set(pack, opened);
      return opened;
    } catch (error) {
      if (kept.get(pack) === fetching) kept.delete(pack);
      throw error;
    }
  };
  const fetchAhead = (group: string, run: string, number: number): void => {
    for (let ahead = 1; ahead <= aheadPacks; ahead++) {
      const pack = packOfRun(run, number + ahead);
      if (missing.has(pack)) continue;
      get(group, pack).catch((error: unknown) => {
        if (errorFromUnknown(error).reason !== 'storage_damaged') return;
        missing.add(pack);
        for (const oldest of missing) if (missing.size > missingMax) missing.delete(oldest);
      });
    }
  };
  /** Whether the pack is the next one of its run. */
  const noteRead = (pack: string): { readonly run: string; readonly number: number; readonly isNext: boolean } => {
    const { run, number } = placeInRun(pack);
    const isNext = streams.get(run) === number - 1;
    remember(streams, run, number);
    return { run, number, isNext };
  };
  return {
    async read(group, pack) {
      const { run, number, isNext } = noteRead(pack);
      const reading = get(group, pack);
      if (isNext) fetchAhead(group, run, number);
      return await reading;
    },
    peek(group, pack) {
      const opened = here.get(pack);
      const fetching = kept.get(pack);
      if (opened === undefined || fetching === undefined) return undefined;
      const { run, number, isNext } = noteRead(pack);
      use(pack, fetching);
      if (isNext) fetchAhead(group, run, number);
      return opened;
    },
  };
}

function remember(map: Map<string, number>, run: string, number: number): void {
  map.delete(run);
  map.set(run, number);
  for (const oldest of map.keys()) if (map.size > streamsMax) map.delete(oldest);
}
