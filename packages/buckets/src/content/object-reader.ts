import { FuseError } from '@soulbox/fuse';
import type { ObjectStore } from '@soulbox/storage/objects';
import { firstReadBytes, readAheadBytes, readAheadParts, readBehindBytes } from '../limits.ts';
import type { ReadBudget } from './read-budget.ts';

/** Reads one version of an object, and in advance if the reads are in order. */
export interface ObjectReader extends Disposable {
  /** Throws the errors of the store: `storage_precondition_failed` if the object was replaced. */
  read(offset: number, size: number): Promise<readonly Uint8Array[]>;
}

interface Extent {
  readonly start: number;
  readonly end: number;
  readonly bytes: Promise<Uint8Array>;
  readonly stop: AbortController;
  /** Of the budget. */
  readonly heldBytes: number;
  /** Reads that wait for it. */
  users: number;
}

export function createObjectReader(
  store: Pick<ObjectStore, 'get'>,
  object: { readonly key: string; readonly version: string; readonly size: number },
  budget: ReadBudget,
): ObjectReader {
  const { key, version, size: total } = object;
  /** In the order of their starts, without overlaps among those behind `position`. */
  let extents: Extent[] = [];
  let position = 0;
  let windowBytes = firstReadBytes;

  const drop = (extent: Extent): void => {
    extents = extents.filter((each) => each !== extent);
    extent.stop.abort(new FuseError('EIO', 'The read is not needed any more.'));
    budget.give(extent.heldBytes);
  };
  const begin = (start: number, length: number, heldBytes: number): Extent => {
    const stop = new AbortController();
    const end = Math.min(total, start + length);
    const bytes = fetchRange(store, { key, version, start, end, signal: stop.signal });
    // Its reader gets it, if there is one.
    bytes.catch(() => undefined);
    const extent = { start, end, bytes, stop, heldBytes, users: 0 };
    extents.push(extent);
    extents.sort((one, other) => one.start - other.start);
    return extent;
  };
  const covering = (offset: number): Extent | undefined =>
    extents.find(({ start, end }) => start <= offset && offset < end);
  const nextStart = (offset: number): number => {
    const next = extents.find(({ start }) => start > offset);
    return next?.start ?? total;
  };
  /** The part of the object at `offset`: more than `size` if the reads are in order. */
  const fetchAt = (offset: number, size: number, isInOrder: boolean): Extent => {
    const room = nextStart(offset) - offset;
    const wanted = Math.min(room, isInOrder ? Math.max(size, windowBytes) : size);
    if (wanted > size && !budget.take(wanted)) return begin(offset, Math.min(room, size), 0);
    return begin(offset, wanted, wanted > size ? wanted : 0);
  };
  const readAhead = (): void => {
    let end = position;
    for (let next = covering(end); next !== undefined; next = covering(end)) end = next.end;
    let parts = extents.filter(({ start }) => start > position).length;
    while (end < total && parts < readAheadParts) {
      const length = Math.min(windowBytes, nextStart(end) - end);
      if (length <= 0 || !budget.take(length)) return;
      end = begin(end, length, length).end;
      parts += 1;
    }
  };

  return {
    async read(offset, wanted) {
      const end = Math.min(total, offset + wanted);
      if (offset >= end) return [];
      const isInOrder = offset <= position + readBehindBytes && offset >= position - readBehindBytes;
      if (!isInOrder) windowBytes = firstReadBytes;
      position = isInOrder ? Math.max(position, end) : end;
      const used: Extent[] = [];
      for (let at = offset; at < end;) {
        const extent = covering(at) ?? fetchAt(at, end - at, isInOrder);
        extent.users += 1;
        used.push(extent);
        at = extent.end;
      }
      if (isInOrder) {
        readAhead();
        windowBytes = Math.min(2 * windowBytes, readAheadBytes);
      }
      try {
        const pieces = await Promise.all(used.map(({ bytes }) => bytes));
        return pieces.map((bytes, index) => {
          const { start } = used[index] as Extent;
          return bytes.subarray(Math.max(0, offset - start), Math.max(0, end - start));
        });
      } catch (error) {
        // The next read asks the store again.
        for (const extent of used) if (extents.includes(extent)) drop(extent);
        throw error;
      } finally {
        for (const extent of used) extent.users -= 1;
        for (const extent of [...extents])
          if (extent.users === 0 && (isInOrder ? extent.end + readBehindBytes <= position : extent.end <= position))
            drop(extent);
      }
    },
    [Symbol.dispose]() {
      for (const extent of [...extents]) drop(extent);
    },
  };
}

interface Range {
  readonly key: string;
  readonly version: string;
  readonly start: number;
  readonly end: number;
  readonly signal: AbortSignal;
}

async function fetchRange(
  store: Pick<ObjectStore, 'get'>,
  { key, version, start, end, signal }: Range,
): Promise<Uint8Array> {
  const length = end - start;
  const { body } = await store.get(key, { range: { offset: start, length }, version, signal });
  const bytes = Buffer.allocUnsafe(length);
  let done = 0;
  for await (const chunk of body) {
    if (done + chunk.length > length) throw new FuseError('EIO', 'The store sent more than the requested range.');
    bytes.set(chunk, done);
    done += chunk.length;
  }
  if (done < length) throw new FuseError('EIO', 'The store sent less than the requested range.');
  return bytes;
}
