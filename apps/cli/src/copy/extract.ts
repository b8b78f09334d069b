import { randomBytes } from 'node:crypto';
import {
  closeSync,
  constants,
  fchmodSync,
  ftruncateSync,
  futimesSync,
  linkSync,
  lutimesSync,
  openSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeSync,
} from 'node:fs';
import { basename, dirname } from 'node:path';
import { errorFromNode, isNodeError, SoulBoxError } from '@soulbox/base';
import { codeOf, openFolderStack, show } from './folder-stack.ts';
import type { FolderEnd, FolderStack } from './folder-stack.ts';
import type { TarEntry } from './tar-reader.ts';

/** Where an archive of one file or one folder goes on this host. */
export interface Destination {
  /** Absolute. Its parent exists. */
  readonly path: string;
  /** It is a folder that exists, or a link to one, and gets the contents of the archive's folder. */
  readonly isThere: boolean;
}

export interface Copied {
  /** Hard links too. */
  files: number;
  folders: number;
  /** Symbolic ones. */
  links: number;
  /** Devices, pipes and sockets. */
  skipped: number;
}

export function noneCopied(): Copied {
  return { files: 0, folders: 0, links: 0, skipped: 0 };
}

/** Everything that an archive may set: no set-user-id, because the files come from the sandbox. */
const modeMask = 0o777;
const maxEntries = 20_000_000;

/**
 * Writes the entries of an archive from a sandbox. Whatever the archive contains, nothing outside of the destination is
 * touched and no link is followed. A file is in place only when it is complete. Throws `bad_path` for a name that
 * leaves the destination, and the error of the first entry that cannot be written. Counts in `copied`.
 */
export async function extract(
  entries: AsyncIterable<TarEntry>,
  destination: Destination,
  copied: Copied = noneCopied(),
): Promise<Copied> {
  const iterator = entries[Symbol.asyncIterator]();
  const first = await iterator.next();
  if (first.done === true) throw new SoulBoxError('bad_request', 'The sandbox sent nothing.');
  const isFolder = first.value.kind === 'folder';
  const root = isFolder ? destination : { path: dirname(destination.path), isThere: true };
  using stack = openFolderStack(root.path, root);
  // Hard links need two open folders at a time.
  using linked = openFolderStack(root.path, root);
  const part = `.soulbox-cp-${randomBytes(9).toString('base64url')}`;
  const rootName = Buffer.from(basename(destination.path)).toString('latin1');
  const writing: Writing = { stack, linked, part, copied };
  let count = 0;
  try {
    for (let step: IteratorResult<TarEntry, unknown> = first; step.done !== true; step = await iterator.next()) {
      const entry = step.value;
      count += 1;
      if (count > maxEntries) throw new SoulBoxError('limit_exceeded', `The folder has over ${maxEntries} entries.`);
      if (!isFolder && entry.kind === 'special')
        throw new SoulBoxError('bad_path', 'The source is a device, a pipe or a socket.');
      // A single file has the name that it gets here, and no other follows.
      if (!isFolder && (count > 1 || entry.kind === 'hardLink'))
        throw new SoulBoxError('bad_request', 'The sandbox sent something else than one file.');
      await writeEntry(writing, isFolder ? partsOf(entry.name) : [rootName], entry);
    }
    stack.finish();
  } finally {
    await iterator.return?.(undefined);
  }
  return copied;
}

/** The parts of a name below the destination. Throws `bad_path`. */
function partsOf(name: Buffer): string[] {
  const parts = name.toString('latin1').split('/');
  if (parts[0] === '.') parts.shift();
  if (parts.at(-1) === '') parts.pop();
  const isInside = parts.every((part) => part !== '' && part !== '.' && part !== '..' && !part.includes('\0'));
  if (name.length > 0 && isInside) return parts;
  throw new SoulBoxError(
    'bad_path',
    `The sandbox sent a name that leaves the folder: ${show([name.toString('latin1')])}`,
  );
}

interface Writing {
  readonly stack: FolderStack;
  /** The same folders, for what hard links name. */
  readonly linked: FolderStack;
  /** The name of what is not complete yet. */
  readonly part: string;
  readonly copied: Copied;
}

async function writeEntry(writing: Writing, path: readonly string[], entry: TarEntry): Promise<void> {
  const { stack, copied } = writing;
  if (entry.kind === 'special') {
    copied.skipped += 1;
    return;
  }
  if (entry.kind === 'folder') {
    stack.enter(path, endOf(entry));
    copied.folders += 1;
    return;
  }
  try {
    await writeByName(writing, path, entry);
  } catch (error) {
    throw isNodeError(error) && error.syscall !== undefined
      ? errorFromNode(error, `${show(path)} cannot be written${codeOf(error)}.`)
      : error;
  }
  if (entry.kind === 'link') copied.links += 1;
  else copied.files += 1;
}

async function writeByName({ stack, linked, part }: Writing, path: readonly string[], entry: TarEntry): Promise<void> {
  const [folder, name] = [path.slice(0, -1), path.at(-1)];
  if (name === undefined) throw new SoulBoxError('bad_path', 'The sandbox sent a file in the place of a folder.');
  const draft = stack.entry(folder, part);
  try {
    if (entry.kind === 'file') await writeFile(draft, entry);
    else if (entry.kind === 'link') writeLink(draft, entry);
    else linkSync(linked.entry(...placeOf(entry)), draft);
    renameSync(draft, stack.entry(folder, name));
  } catch (error) {
    rmSync(draft, { force: true });
    throw error;
  }
  // If both names were links to the same file, the rename has done nothing (POSIX).
  if (entry.kind === 'hardLink') rmSync(draft, { force: true });
}

function endOf({ mode, mtime }: TarEntry): FolderEnd {
  return { mode: mode & modeMask, mtime: timeFrom(mtime) };
}

/** Node sets the present for times before 1970. */
function timeFrom(mtime: number): number {
  return Math.max(0, mtime);
}

async function writeFile(draft: Buffer, entry: TarEntry): Promise<void> {
  const { mode, mtime } = endOf(entry);
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
  const fd = openSync(draft, flags, 0o600);
  try {
    for await (const { at, bytes } of entry.readBody()) {
      for (let done = 0; done < bytes.length;) done += writeSync(fd, bytes, done, bytes.length - done, at + done);
    }
    // The end can be a hole.
    ftruncateSync(fd, entry.size);
    fchmodSync(fd, mode);
    futimesSync(fd, mtime, mtime);
  } finally {
    closeSync(fd);
  }
}

function writeLink(draft: Buffer, { target, mtime }: TarEntry): void {
  symlinkSync(target, draft);
  lutimesSync(draft, timeFrom(mtime), timeFrom(mtime));
}

/** The earlier entry that a hard link names. */
function placeOf({ target }: TarEntry): [folder: string[], name: string] {
  const path = partsOf(target);
  const name = path.pop();
  if (name === undefined) throw new SoulBoxError('bad_path', 'The sandbox sent a link to a folder.');
  return [path, name];
}
