import { FuseError } from '@soulbox/fuse';
import type { FuseDirEntry } from '@soulbox/fuse';
import type { ObjectPage, ObjectStore } from '@soulbox/storage/objects';
import { emptyPagesMax } from '../limits.ts';
import { fileType, folderType, inoOf } from './attributes.ts';
import { factOf } from './facts.ts';
import type { Fact, Facts } from './facts.ts';
import { folderOf, isPart } from './keys.ts';

/** The entries of an open folder. One page of them is in memory. */
export interface FolderList {
  read(cookie: number, maxEntries: number): Promise<readonly FuseDirEntry[]>;
}

export interface FolderListOptions {
  readonly store: Pick<ObjectStore, 'list'>;
  readonly facts: Facts;
  /** Its key, which ends with a slash unless it is empty. */
  readonly folder: string;
  /** Names that are not in the store, and their kinds. Read when the list begins. */
  readonly localNames: () => ReadonlyMap<string, 'file' | 'folder'>;
}

interface Entry {
  readonly name: string;
  readonly kind: 'file' | 'folder';
}

interface Page {
  readonly number: number;
  readonly entries: readonly Entry[];
  readonly isLast: boolean;
}

/** Cookies: `.` is 1, `..` is 2, and those of a page begin at a multiple of this. */
const perPage = 4096;
const dotCookie = 1;
const upCookie = 2;
/** Pages to whose beginning a reader can return without a new list from the first one. */
const cursorsKept = 64;

export function createFolderList({ store, facts, folder, localNames }: FolderListOptions): FolderList {
  const cursors = new Map<number, string | undefined>([[1, undefined]]);
  let current: Page | undefined;
  let local = new Map(localNames());
  /** Files before the end of the last page that can have a folder of the same name behind it. */
  let open: string[] = [];

  const load = async (number: number): Promise<Page> => {
    if (current?.number === number) return current;
    if (number === 1) {
      local = new Map(localNames());
      open = [];
    }
    const whole = number === 1 ? facts.findWhole(folder) : undefined;
    if (whole !== undefined) {
      const entries = [...whole].map(([name, { kind }]): Entry => ({
        name,
        kind: kind === 'folder' ? 'folder' : 'file',
      }));
      return keep({ number, entries, isLast: true });
    }
    // After a takeover, or a return to a page of long ago.
    if (!cursors.has(number)) await load(number - 1);
    const mark = facts.mark();
    const page = await store.list({ prefix: folder, cursor: cursors.get(number), combinesFolders: true });
    facts.notePage(folder, page, mark);
    const entries = entriesOf(folder, page, open);
    if (entries.length + 2 >= perPage) throw new FuseError('EIO', 'The store sent a page that is too long.');
    if (page.cursor !== undefined) rememberCursor(number + 1, page.cursor);
    else if (number === 1) facts.noteWhole(folder, wholeOf(folder, entries, page), mark);
    return keep({ number, entries, isLast: page.cursor === undefined });
  };
  const keep = ({ number, entries, isLast }: Page): Page => {
    for (const { name } of entries) local.delete(name);
    const last = isLast ? [...local].map(([name, kind]) => ({ name, kind })) : [];
    current = { number, isLast, entries: [...entries, ...last].slice(0, perPage - 3) };
    return current;
  };
  const rememberCursor = (number: number, cursor: string): void => {
    cursors.set(number, cursor);
    for (const each of cursors.keys()) {
      if (cursors.size <= cursorsKept) break;
      if (each !== 1) cursors.delete(each);
    }
  };
  return {
    async read(cookie, maxEntries) {
      // It begins again.
      if (cookie < dotCookie) current = undefined;
      const own: FuseDirEntry[] = [];
      if (cookie < dotCookie) own.push(entryOf('.', folder, { kind: 'folder', cookie: dotCookie }));
      if (cookie < upCookie) own.push(entryOf('..', folderOf(folder), { kind: 'folder', cookie: upCookie }));
      if (own.length > 0) return own.slice(0, maxEntries);
      let number = Math.max(1, Math.floor(cookie / perPage));
      let index = cookie < perPage ? 0 : (cookie % perPage) + 1;
      for (let skipped = 0; skipped < emptyPagesMax; skipped += 1) {
        const page = await load(number);
        const rest = page.entries.slice(index, index + maxEntries);
        const start = number * perPage + index;
        if (rest.length > 0)
          return rest.map(({ name, kind }, at) => entryOf(name, folder + name, { kind, cookie: start + at }));
        if (page.isLast) return [];
        number += 1;
        index = 0;
      }
      throw new FuseError('EIO', 'The store sends empty pages.');
    },
  };
}

function entryOf(name: string, key: string, { kind, cookie }: { kind: Entry['kind']; cookie: number }): FuseDirEntry {
  const isSelf = name === '.' || name === '..';
  return {
    name: Buffer.from(name),
    ino: inoOf(kind === 'folder' && !isSelf ? `${key}/` : key),
    type: kind === 'folder' ? folderType : fileType,
    cookie,
  };
}

/** In the order of the store. A folder is left out if an object before it has its name; `open` has those of earlier pages. */
function entriesOf(folder: string, { objects, folders }: ObjectPage, open: string[]): Entry[] {
  const found = [
    ...objects.map(({ key }) => ({ key, name: key.slice(folder.length), kind: 'file' as const })),
    ...folders.map((key) => ({ key, name: key.slice(folder.length, -1), kind: 'folder' as const })),
  ].filter(({ name }) => isPart(name));
  found.sort((one, other) => Buffer.compare(Buffer.from(one.key), Buffer.from(other.key)));
  const entries: Entry[] = [];
  for (const { name, kind } of found) {
    while (open.length > 0 && !name.startsWith(open.at(-1) as string)) open.pop();
    if (kind === 'folder' && open.at(-1) === name) continue;
    if (kind === 'file') open.push(name);
    entries.push({ name, kind });
  }
  return entries;
}

function wholeOf(folder: string, entries: readonly Entry[], { objects }: ObjectPage): ReadonlyMap<string, Fact> {
  const files = new Map(objects.map((info) => [info.key.slice(folder.length), factOf(info)]));
  return new Map(
    entries.map(({ name, kind }) => [name, kind === 'folder' ? { kind } : (files.get(name) as Fact)] as const),
  );
}
