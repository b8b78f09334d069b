import { lastCharacter } from './key-order.ts';
import type { Entry, SortedFolders } from './sorted-folders.ts';

export interface Walk {
  readonly prefix: string;
  /** Only keys after this one. */
  readonly after: string | undefined;
  readonly limit: number;
  readonly combinesFolders: boolean;
}

export type Found = Pick<Entry, 'key' | 'isFolder'>;

/** Objects in the order of the bytes of their keys. Folders only if they are combined; then their keys end with `/`. */
export async function* walkObjects(folders: SortedFolders, walk: Walk, signal: AbortSignal): AsyncGenerator<Found> {
  yield* walkFolder({ folders, walk, signal }, '');
}

interface Context {
  readonly folders: SortedFolders;
  readonly walk: Walk;
  readonly signal: AbortSignal;
}

async function* walkFolder(context: Context, folder: string): AsyncGenerator<Found> {
  const { folders, walk, signal } = context;
  const { prefix, limit } = walk;
  const continues = walk.after !== undefined;
  let after = walk.after;
  // A folder with more entries than are read at once is read on from where the last round ended.
  for (;;) {
    // One more than the page has, so that its end is known.
    const query = { prefix, after, continues, count: limit + 1 };
    const { entries, isComplete } = await folders.read(folder, query, signal);
    for (const entry of entries) {
      signal.throwIfAborted();
      if (!entry.isFolder) yield entry;
      else if (walk.combinesFolders && entry.key.length > prefix.length && entry.key.startsWith(prefix)) {
        // An empty folder, of which all objects were deleted, does not exist for callers.
        if (await hasObject(context, entry.key)) yield entry;
      } else yield* walkFolder(context, entry.key);
    }
    const last = entries.at(-1);
    if (isComplete || last === undefined) return;
    after = last.isFolder ? last.key + lastCharacter : last.key;
  }
}

async function hasObject(context: Context, folder: string): Promise<boolean> {
  const walk = { ...context.walk, after: undefined, prefix: folder, combinesFolders: false, limit: 1 };
  const first = await walkFolder({ ...context, walk }, folder).next();
  return first.done !== true;
}
