import type { ObjectInfo, ObjectPage, ObjectStore } from '@soulbox/storage/objects';
import { emptiedMax, factsMax, listsMax } from '../limits.ts';
import { folderOf } from './keys.ts';
import { createRecent } from './recent.ts';

export interface FileFact {
  readonly kind: 'file';
  readonly version: string;
  readonly size: number;
  readonly modifiedMs: number;
}

/** What the store has under a name. */
export type Fact = FileFact | { readonly kind: 'folder' } | { readonly kind: 'absent' };

/** A folder whose entries fit in one page. */
export type WholeFolder = ReadonlyMap<string, Fact>;

/**
 * What is known of the bucket, for a short time. Keys are those of files, without a last slash, also for folders. An
 * object hides a folder of the same name.
 */
export interface Facts {
  find(key: string): Promise<Fact>;
  /** Asks the store. `undefined`: there is no such object. */
  ask(key: string): Promise<FileFact | undefined>;
  /** A moment. What the store was asked before a change of this mount is not remembered after it. */
  mark(): number;
  /** `folder` has a last slash. Its entries are remembered. */
  notePage(folder: string, page: ObjectPage, mark: number): void;
  noteWhole(folder: string, entries: WholeFolder, mark: number): void;
  findWhole(folder: string): WholeFolder | undefined;
  /** The name was changed by this mount. `fact` is what it is now, if that is known. */
  change(key: string, fact?: Fact): void;
  /** A file was removed from the folder: the folder stays. */
  keepFolder(folder: string): void;
  /** The folder was removed, with all that is in it. */
  dropFolder(folder: string): void;
  /** Names of emptied folders in a folder. */
  keptIn(folder: string): readonly string[];
}

const absent: Fact = { kind: 'absent' };
const isFolder: Fact = { kind: 'folder' };

export function createFacts(store: Pick<ObjectStore, 'stat' | 'list'>, ms: number): Facts {
  const facts = createRecent<Fact>({ maxCount: factsMax, ms });
  const wholes = createRecent<WholeFolder>({ maxCount: listsMax, ms });
  const kept = new Set<string>();
  let changes = 0;

  const findKnown = (key: string): Fact | undefined => {
    const known = facts.find(key);
    if (known !== undefined) return known;
    const folder = folderOf(key);
    const whole = wholes.find(folder);
    return whole === undefined ? undefined : (whole.get(key.slice(folder.length)) ?? keptOr(key, absent));
  };
  const keptOr = (key: string, fact: Fact): Fact => (kept.has(`${key}/`) ? isFolder : fact);
  const ask = async (key: string): Promise<FileFact | undefined> => {
    const mark = changes;
    const info = await store.stat(key);
    if (info === undefined) {
      if (mark === changes && facts.find(key)?.kind === 'file') facts.delete(key);
      return undefined;
    }
    const fact = factOf(info);
    if (mark === changes) facts.set(key, fact);
    return fact;
  };
  return {
    ask,
    async find(key) {
      const known = findKnown(key);
      if (known !== undefined) return known;
      const mark = changes;
      const file = await ask(key);
      if (file !== undefined) return file;
      const { objects } = await store.list({ prefix: `${key}/`, limit: 1 });
      const fact = objects.length > 0 ? isFolder : keptOr(key, absent);
      if (mark === changes) facts.set(key, fact);
      return fact;
    },
    mark: () => changes,
    notePage(folder, { objects, folders }, mark) {
      if (mark !== changes) return;
      for (const name of folders) facts.set(name.slice(0, -1), isFolder);
      for (const info of objects) if (info.key !== folder) facts.set(info.key, factOf(info));
    },
    noteWhole(folder, entries, mark) {
      if (mark === changes) wholes.set(folder, entries);
    },
    findWhole: (folder) => wholes.find(folder),
    change(key, fact) {
      changes += 1;
      wholes.delete(folderOf(key));
      if (fact === undefined) facts.delete(key);
      else facts.set(key, fact);
    },
    keepFolder(folder) {
      if (folder === '') return;
      kept.delete(folder);
      kept.add(folder);
      for (const oldest of kept) {
        if (kept.size <= emptiedMax) break;
        kept.delete(oldest);
      }
      facts.set(folder.slice(0, -1), isFolder);
    },
    dropFolder(folder) {
      for (const each of kept) if (each.startsWith(folder)) kept.delete(each);
    },
    keptIn: (folder) =>
      [...kept].filter((each) => folderOf(each) === folder).map((each) => each.slice(folder.length, -1)),
  };
}

export function factOf({ version, sizeBytes, modifiedAt }: ObjectInfo): FileFact {
  return { kind: 'file', version, size: sizeBytes, modifiedMs: modifiedAt.getTime() };
}
