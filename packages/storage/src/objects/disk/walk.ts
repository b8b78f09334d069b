import type { Dirent } from 'node:fs';
import { opendir } from 'node:fs/promises';
import { join } from 'node:path';
import { isNodeError } from '@soulbox/base';
import { partFromName } from './object-path.ts';

export interface Walk {
  readonly prefix: string;
  /** Only keys after this one. */
  readonly after: string | undefined;
  readonly limit: number;
  readonly combinesFolders: boolean;
}

export interface Found {
  /** Of a folder it ends with `/`. */
  readonly key: string;
  /** Relative to the root. */
  readonly path: string;
  readonly isFolder: boolean;
}

/** Objects in the order of the bytes of their keys, at most `limit`, in memory for that many. */
export async function* walkObjects(root: string, walk: Walk, signal: AbortSignal): AsyncGenerator<Found> {
  yield* walkFolder({ root, walk, signal }, { key: '', path: '', isFolder: true });
}

interface Context {
  readonly root: string;
  readonly walk: Walk;
  readonly signal: AbortSignal;
}

async function* walkFolder(context: Context, folder: Found): AsyncGenerator<Found> {
  const { walk, signal } = context;
  let after = walk.after;
  // A folder with more entries than are kept at once is read again from where the last round ended.
  for (;;) {
    const { entries, isComplete } = await readSorted(context, folder, after);
    for (const entry of entries) {
      signal.throwIfAborted();
      if (!entry.isFolder) yield entry;
      else if (walk.combinesFolders && entry.key.length > walk.prefix.length && entry.key.startsWith(walk.prefix)) {
        // An empty folder, of which all objects were deleted, does not exist for callers.
        if (await hasObject(context, entry)) yield entry;
      } else yield* walkFolder(context, entry);
    }
    const last = entries.at(-1);
    if (isComplete || last === undefined) return;
    after = last.isFolder ? last.key + lastCharacter : last.key;
  }
}

/** Sorts after all that follows a slash in a key. */
const lastCharacter = '\u{10ffff}';

async function hasObject(context: Context, folder: Found): Promise<boolean> {
  const walk = { ...context.walk, after: undefined, prefix: folder.key, combinesFolders: false, limit: 1 };
  const first = await walkFolder({ ...context, walk }, folder).next();
  return first.done !== true;
}

interface SortedEntries {
  readonly entries: readonly Found[];
  readonly isComplete: boolean;
}

/** The first entries of a folder after a key, sorted. */
async function readSorted(
  { root, walk, signal }: Context,
  folder: Found,
  after: string | undefined,
): Promise<SortedEntries> {
  const kept = Math.max(walk.limit, keptAtLeast);
  let found: Found[] = [];
  let isComplete = true;
  for await (const entry of entriesOf(join(root, folder.path))) {
    signal.throwIfAborted();
    const item = describe(folder, entry);
    if (item === undefined || !canMatch(item, walk, after)) continue;
    found.push(item);
    if (found.length < 2 * kept) continue;
    found = found.sort(byKey).slice(0, kept);
    isComplete = false;
  }
  found.sort(byKey);
  return isComplete ? { entries: found, isComplete } : { entries: found.slice(0, kept), isComplete };
}

const keptAtLeast = 1000;

async function* entriesOf(path: string): AsyncGenerator<Dirent> {
  try {
    yield* await opendir(path, { bufferSize: 512 });
  } catch (error) {
    // Removed meanwhile.
    if (!isNodeError(error) || (error.code !== 'ENOENT' && error.code !== 'ENOTDIR')) throw error;
  }
}

function describe(folder: Found, entry: Dirent): Found | undefined {
  const name = partFromName(entry.name);
  if (name === undefined || !(name.isFolder ? entry.isDirectory() : entry.isFile())) return undefined;
  const key = folder.key + name.part + (name.isFolder ? '/' : '');
  return { key, path: join(folder.path, entry.name), isFolder: name.isFolder };
}

function canMatch({ key, isFolder }: Found, { prefix }: Walk, after: string | undefined): boolean {
  if (!key.startsWith(prefix) && !(isFolder && prefix.startsWith(key))) return false;
  // Of a folder only the end counts: keys in it can be later than its own.
  return after === undefined || compareKeys(isFolder ? key + lastCharacter : key, after) > 0;
}

function byKey(a: Found, b: Found): number {
  return compareKeys(a.key, b.key);
}

/** By the bytes of UTF-8, as object stores sort. JavaScript compares UTF-16, which differs above U+FFFF. */
function compareKeys(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
