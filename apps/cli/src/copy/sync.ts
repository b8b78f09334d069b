import type { Stats } from 'node:fs';
import { lstat } from 'node:fs/promises';
import { isNodeError, SoulBoxError } from '@soulbox/base';
import type { ReachedSandbox } from '../api/reach-sandbox.ts';
import { findOtherContents } from './compare-contents.ts';
import { createIgnoreRules } from './git-ignore.ts';
import { listEntries } from './list-entries.ts';
import type { ListedEntry } from './list-entries.ts';
import { pack } from './pack.ts';
import type { Pack } from './pack.ts';
import { runScript } from './run-script.ts';
import { removeScript } from './scripts.ts';
import { send } from './send.ts';
import { walk } from './walk.ts';
import type { WalkedEntry } from './walk.ts';

export interface SyncOptions {
  /** A folder of this host. */
  readonly source: string;
  /** A folder of the sandbox, which is created if it is missing. */
  readonly path: string;
  readonly user: string | undefined;
  /** Removes what is not in the source. What is ignored stays. */
  readonly isDeleting: boolean;
  /** Leaves out what `.gitignore` files name. */
  readonly isGit: boolean;
  /** Compares files of the same size by their contents instead of their times. */
  readonly isByContents: boolean;
  readonly signal: AbortSignal;
  readonly onSent: (bytes: number) => void;
}

export interface Synced {
  /** Files and links. */
  readonly sent: number;
  readonly deleted: number;
  readonly unchanged: number;
  /** Was there when it was listed, and not when it was read. */
  readonly vanished: number;
}

/** Copies what differs by kind, mode, size and time in seconds (or contents), and nothing if that is nothing. */
export async function sync(sandbox: ReachedSandbox, options: SyncOptions): Promise<Synced> {
  const there = await readThere(sandbox, options);
  const rules = options.isGit ? createIgnoreRules(options.source) : undefined;
  rules?.enter('');
  const isWanted = ({ path, kind }: WalkedEntry): boolean => {
    const text = path.subarray(2).toString('utf8');
    if (kind === 'special' || rules?.isIgnored(text, kind === 'folder') === true) return false;
    if (kind === 'folder') rules?.enter(text);
    return true;
  };
  const kept = new Set<string>();
  const changed = new Set<string>();
  const inTheWay: string[] = [];
  let folders = 0;
  const doubtful = new Set<string>();
  let unchanged = 0;
  for await (const { path, kind } of walk(options.source, isWanted)) {
    const name = path.subarray(2).toString('latin1');
    if (name === '') continue;
    kept.add(name);
    const found = there?.get(name);
    const here = await lstatHere(options.source, path);
    if (here === undefined) {
      kept.delete(name);
      continue;
    }
    if (found?.kind === kind && !differs(here, found, options.isByContents)) {
      if (options.isByContents && kind === 'file') doubtful.add(name);
      else if (kind !== 'folder') unchanged += 1;
      continue;
    }
    if (found !== undefined && found.kind !== kind && [found.kind, kind].includes('folder')) inTheWay.push(name);
    changed.add(name);
    if (kind === 'folder') folders += 1;
  }
  if (inTheWay.length > 0 && !options.isDeleting)
    throw new SoulBoxError(
      'file_exists',
      `${inTheWay.length} entries are a folder on one side only. Use --delete to replace them.`,
    );
  for (const name of await findOtherContents(sandbox, doubtful, options)) {
    doubtful.delete(name);
    changed.add(name);
  }
  await remove(sandbox, options, inTheWay);
  const vanished = changed.size > 0 || there === undefined ? await sendChanged(sandbox, options, changed) : 0;
  const surplus = options.isDeleting ? surplusOf(there, kept, rules, inTheWay) : [];
  await remove(sandbox, options, surplus);
  const sent = Math.max(0, changed.size - folders - vanished);
  return { sent, deleted: surplus.length, unchanged: unchanged + doubtful.size, vanished };
}

/** Undefined if there is no such folder. */
async function readThere(
  sandbox: ReachedSandbox,
  { path, user, signal }: SyncOptions,
): Promise<Map<string, ListedEntry> | undefined> {
  const entries = new Map<string, ListedEntry>();
  try {
    for await (const entry of listEntries(sandbox, { path, isDeep: true, user, signal })) {
      if (entry.path.split('/').some((part) => part === '' || part === '.' || part === '..'))
        throw new SoulBoxError('bad_request', 'The sandbox sent an invalid list of files.');
      entries.set(entry.path, entry);
    }
  } catch (error) {
    if (error instanceof SoulBoxError && error.reason === 'file_not_found') return undefined;
    throw error;
  }
  return entries;
}

/** Undefined for what has vanished since it was found. */
async function lstatHere(source: string, path: Buffer): Promise<Stats | undefined> {
  try {
    return await lstat(Buffer.concat([Buffer.from(`${source}/`), path]));
  } catch (error) {
    if (isNodeError(error) && (error.code === 'ENOENT' || error.code === 'ENOTDIR')) return undefined;
    throw error;
  }
}

function differs(here: Stats, found: ListedEntry, isByContents: boolean): boolean {
  const mtime = Math.floor(here.mtimeMs / 1000);
  // A folder's time changes with what is in it.
  if (found.kind === 'folder') return (here.mode & 0o777) !== (found.mode & 0o777);
  const isTimed = found.kind !== 'file' || !isByContents;
  if ((isTimed && mtime !== found.mtime) || here.size !== found.size) return true;
  return found.kind === 'file' && (here.mode & 0o777) !== (found.mode & 0o777);
}

/** Returns how many have vanished meanwhile. */
async function sendChanged(sandbox: ReachedSandbox, options: SyncOptions, changed: Set<string>): Promise<number> {
  const { source, path, user, signal, onSent } = options;
  const arrival = { path, kind: 'folder', name: '', isContents: true, mustBeFolder: true, user } as const;
  const names = withFolders(changed);
  let vanished = (): number => 0;
  const open = (isForGnu: boolean, stop: AbortSignal): Pack => {
    const packed = pack(source, names, { isForGnu, signal: stop, mayVanish: true });
    vanished = () => packed.vanished();
    return packed;
  };
  await send(sandbox, arrival, open, { signal, onSent });
  return vanished();
}

/** Each name after the folders that contain it, so that these keep their modes. */
function* withFolders(changed: ReadonlySet<string>): Generator<Buffer> {
  const seen = new Set<string>();
  yield Buffer.from('./');
  for (const name of changed) {
    for (let end = name.indexOf('/'); end !== -1; end = name.indexOf('/', end + 1)) {
      const folder = name.slice(0, end);
      if (seen.has(folder)) continue;
      seen.add(folder);
      yield Buffer.from(`./${folder}`, 'latin1');
    }
    if (seen.has(name)) continue;
    seen.add(name);
    yield Buffer.from(`./${name}`, 'latin1');
  }
}

/** What is only in the sandbox, without what goes with its folder. */
function surplusOf(
  there: ReadonlyMap<string, ListedEntry> | undefined,
  kept: ReadonlySet<string>,
  rules: ReturnType<typeof createIgnoreRules> | undefined,
  gone: readonly string[],
): string[] {
  const isSpared = (name: string, isFolder: boolean): boolean =>
    rules?.isIgnored(Buffer.from(name, 'latin1').toString('utf8'), isFolder) === true;
  const spared = [...(there ?? [])].filter(([name, { kind }]) => isSpared(name, kind === 'folder'));
  // A folder that contains something ignored stays, too.
  const needed = new Set(spared.flatMap(([name]) => [name, ...foldersOf(name)]));
  const surplus = [...(there ?? [])].filter(([name]) => !kept.has(name) && !needed.has(name)).map(([name]) => name);
  const all = new Set(surplus);
  const below = new Set([...spared.map(([name]) => name), ...gone]);
  return surplus.filter((name) => !foldersOf(name).some((folder) => all.has(folder) || below.has(folder)));
}

function foldersOf(name: string): string[] {
  const parts = name.split('/');
  return parts.slice(1).map((_, index) => parts.slice(0, index + 1).join('/'));
}

async function remove(
  sandbox: ReachedSandbox,
  { path, user, signal }: SyncOptions,
  names: readonly string[],
): Promise<void> {
  if (names.length === 0) return;
  const run = await runScript(sandbox, {
    text: removeScript,
    args: [path],
    user,
    hasInput: true,
    isBounded: true,
    signal,
  });
  const bytes = Buffer.from(names.map((name) => `./${name}\0`).join(''), 'latin1');
  await run.program.write(bytes);
  await run.program.closeInput();
  for await (const _ of run.output) continue;
  run.check();
}
