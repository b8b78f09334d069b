import type { Dirent } from 'node:fs';
import { opendir } from 'node:fs/promises';
import { join } from 'node:path';
import { isNodeError } from '@soulbox/base';
import { compareKeys, isPlainKey, lastCharacter } from './key-order.ts';
import { folderPathFromKey, partFromName } from './object-path.ts';

/** A name in a folder. */
export interface Entry {
  /** Of a folder it ends with `/`. */
  readonly key: string;
  readonly isFolder: boolean;
  readonly isPlain: boolean;
}

export interface FolderQuery {
  /** Only keys that begin with it, and folders on the way there. */
  readonly prefix: string;
  /** Only keys after this one. */
  readonly after: string | undefined;
  /** How many entries are wanted at least, if there are so many. */
  readonly count: number;
  /** Whether more will be wanted: a list of several pages. */
  readonly continues: boolean;
}

export interface SortedEntries {
  readonly entries: readonly Entry[];
  /** False: there may be more after the last one. */
  readonly isComplete: boolean;
}

/** The entries of folders in the order of the bytes of their keys. */
export interface SortedFolders {
  /** `folder` is the key of the folder, with its last slash; empty for the root. */
  read(folder: string, query: FolderQuery, signal: AbortSignal): Promise<SortedEntries>;
}

/** The kernel lists names in no order, so the first ones are known only after all were read. */
const keptAtLeast = 1000;
/**
 * A list of many pages would read all names for each of its pages. So so many are kept for the next pages: about 10 MiB.
 * A folder of a million objects is then read 11 times instead of a thousand.
 */
const keptAhead = 100_000;
/** In all folders together. */
const keptMax = 200_000;
/** For so long, an object that was written after the first page may be missing from the pages after it. */
const keptMs = 30_000;

interface Kept extends SortedEntries {
  readonly after: string | undefined;
  readonly atMs: number;
}

type Name = Pick<Dirent, 'name' | 'isFile' | 'isDirectory'>;
type OpenFolder = (path: string) => Promise<AsyncIterable<Name>>;

export function createSortedFolders(root: string, open: OpenFolder = openFolder): SortedFolders {
  /** In the order of their last use. */
  const kept = new Map<string, Kept>();
  const keep = (name: string, found: Kept): void => {
    kept.set(name, found);
    let count = [...kept.values()].reduce((sum, { entries }) => sum + entries.length, 0);
    for (const [oldest, { entries }] of kept) {
      if (count <= keptMax) return;
      kept.delete(oldest);
      count -= entries.length;
    }
  };
  const takeKept = (name: string, { after, count }: FolderQuery): SortedEntries | undefined => {
    const found = kept.get(name);
    if (found === undefined || after === undefined) return undefined;
    kept.delete(name);
    const isOlder = performance.now() - found.atMs > keptMs;
    if (isOlder || (found.after !== undefined && compareKeys(after, found.after) < 0)) return undefined;
    const start = indexAfter(found.entries, after);
    const isLast = start + count >= found.entries.length;
    if (isLast && !found.isComplete) return undefined;
    kept.set(name, found);
    const entries = found.entries.slice(start, start + count);
    return { entries, isComplete: isLast };
  };
  return {
    async read(folder, query, signal) {
      const name = `${folder}\0${query.prefix}`;
      const known = takeKept(name, query);
      if (known !== undefined) return known;
      const atMs = performance.now();
      const count = Math.max(query.count, query.continues ? keptAhead : keptAtLeast);
      const names = await open(join(root, folderPathFromKey(folder)));
      const found = await sortFirst(folder, names, { query: { ...query, count }, signal });
      if (query.continues && found.entries.length > keptAtLeast) keep(name, { ...found, after: query.after, atMs });
      return found;
    },
  };
}

/** The first `count` entries, in memory for twice as many. */
async function sortFirst(
  folder: string,
  names: AsyncIterable<Name>,
  { query, signal }: { readonly query: FolderQuery; readonly signal: AbortSignal },
): Promise<SortedEntries> {
  const { count, prefix } = query;
  const isAfter = afterKey(query.after);
  const canMatch = (entry: Entry): boolean =>
    (entry.key.startsWith(prefix) || (entry.isFolder && prefix.startsWith(entry.key))) && isAfter(entry);
  let found: Entry[] = [];
  /** Known once there are more than `count`: what comes after it is not among the first. */
  let end: Entry | undefined;
  for await (const name of names) {
    signal.throwIfAborted();
    const entry = describe(folder, name);
    if (entry === undefined || !canMatch(entry)) continue;
    if (end !== undefined && compareEntries(entry, end) > 0) continue;
    found.push(entry);
    if (found.length < 2 * count) continue;
    found = found.sort(compareEntries).slice(0, count);
    end = found.at(-1);
  }
  found.sort(compareEntries);
  const isComplete = end === undefined && found.length <= count;
  return { entries: isComplete ? found : found.slice(0, count), isComplete };
}

/** A folder that was removed meanwhile is empty. */
async function openFolder(path: string): Promise<AsyncIterable<Name>> {
  try {
    return await opendir(path, { bufferSize: 512 });
  } catch (error) {
    if (!isNodeError(error) || (error.code !== 'ENOENT' && error.code !== 'ENOTDIR')) throw error;
    return nothing();
  }
}

async function* nothing(): AsyncGenerator<Name> {
  // No names.
}

function describe(folder: string, entry: Name): Entry | undefined {
  const name = partFromName(entry.name);
  if (name === undefined || !(name.isFolder ? entry.isDirectory() : entry.isFile())) return undefined;
  const key = folder + name.part + (name.isFolder ? '/' : '');
  return { key, isFolder: name.isFolder, isPlain: isPlainKey(key) };
}

/** Of a folder only the end counts: keys in it can be later than its own. */
function afterKey(after: string | undefined): (entry: Entry) => boolean {
  if (after === undefined) return () => true;
  const isAfterPlain = isPlainKey(after);
  return ({ key, isFolder, isPlain }) => {
    const end = isFolder ? key + lastCharacter : key;
    return isPlain && isAfterPlain ? end > after : compareKeys(end, after) > 0;
  };
}

function compareEntries(a: Entry, b: Entry): number {
  if (a.isPlain && b.isPlain) return a.key < b.key ? -1 : Number(a.key > b.key);
  return compareKeys(a.key, b.key);
}

/** The first index in sorted entries that is after a key. */
function indexAfter(entries: readonly Entry[], after: string): number {
  const isAfter = afterKey(after);
  let [low, high] = [0, entries.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    const entry = entries[middle];
    if (entry !== undefined && !isAfter(entry)) low = middle + 1;
    else high = middle;
  }
  return low;
}
