import { createAccessOrder } from './access-order.ts';
import type { AccessOrderOptions } from './access-order.ts';
import type { Cache } from './create-cache.ts';
import type { RedisLevel } from './redis/redis-level.ts';

export interface ReadAheadOptions {
  readonly cache: Cache;
  /** Keeps orders for other hosts and for later. Absent: they are known to this process only. */
  readonly notes: Pick<RedisLevel, 'readNote' | 'writeNote'> | undefined;
  /** Defaults: 8 values ahead. */
  readonly order?: Partial<AccessOrderOptions>;
}

export interface ReadAhead extends Disposable {
  /** A value is being asked for. */
  noted(key: string): void;
}

const usualAhead = 8;
/** Read at once, of all groups. */
const lanesMax = 4;
/** What waits longer than for so many others is not read ahead. */
const queueMax = 64;
const saveMs = 5000;
/** Of an order in JSON. */
const noteMaxBytes = 512 * 1024;
/** Orders that are being looked up. */
const lookupsMax = 64;

/**
 * Reads ahead what the last readers of the same folder of keys have read next: `a/b/c` is the member `c` of the group
 * `a/b`. Readers that read one chunk after the other, and those that jump, wait less.
 */
export function startReadAhead({ cache, notes, order: given }: ReadAheadOptions): ReadAhead {
  const order = createAccessOrder({ ahead: usualAhead, ...given });
  const ending = new AbortController();
  const queue: string[] = [];
  const lookups = new Set<string>();
  let lanes = 0;
  const work = async (): Promise<void> => {
    lanes += 1;
    for (let key = queue.shift(); key !== undefined && !ending.signal.aborted; key = queue.shift())
      await cache.readAhead(key, ending.signal);
    lanes -= 1;
  };
  const lookUp = async (from: NonNullable<typeof notes>, group: string): Promise<void> => {
    lookups.add(group);
    try {
      const note = await from.readNote(group);
      if (note !== undefined && note.length <= noteMaxBytes) order.learn(group, JSON.parse(note.toString()));
    } catch {
      // It is a help only.
    } finally {
      lookups.delete(group);
    }
  };
  const save = (): void => {
    for (const { group, order: ofRun } of order.takeEnded())
      if (ofRun.length > 1) notes?.writeNote(group, Buffer.from(JSON.stringify(ofRun)));
  };
  const timer = setInterval(save, saveMs).unref();
  return {
    noted(key) {
      const cut = key.lastIndexOf('/');
      if (cut === -1) return;
      const [group, member] = [key.slice(0, cut), key.slice(cut + 1)];
      const mayLookUp = notes !== undefined && lookups.size < lookupsMax && !lookups.has(group);
      if (mayLookUp && order.isUnknown(group)) void lookUp(notes, group);
      for (const next of order.note(group, member)) if (queue.length < queueMax) queue.push(`${group}/${next}`);
      while (lanes < lanesMax && queue.length > 0) void work();
    },
    [Symbol.dispose]() {
      clearInterval(timer);
      ending.abort(new Error('The cache is closed.'));
      queue.length = 0;
    },
  };
}
