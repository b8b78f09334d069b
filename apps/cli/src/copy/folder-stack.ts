import { closeSync, constants, fchmodSync, futimesSync, mkdirSync, openSync } from 'node:fs';
import { errorFromNode, isNodeError, SoulBoxError } from '@soulbox/base';
import { printable } from '@soulbox/envd-client';

/** What a folder gets when everything in it has been written. */
export interface FolderEnd {
  readonly mode: number;
  /** In seconds. */
  readonly mtime: number;
}

/**
 * The open folders from a root down to where is being written. Each is opened from the one above it, and never through
 * a symbolic link, so what is written is inside the root whatever its folders contain. Parts of paths are bytes as
 * latin1.
 */
export interface FolderStack extends Disposable {
  /** The path of an entry of this folder below the root, for one system call. Creates missing folders. */
  entry(folder: readonly string[], name: string): Buffer;
  /** Opens or creates a folder, and says what it gets at its end. One that was there keeps what it has. */
  enter(folder: readonly string[], end: FolderEnd): void;
  /** Ends all folders below the root, and the root. */
  finish(): void;
}

/** Deeper ones would need more open files than a process may have. */
const maxDepth = 500;
const openFlags = constants.O_RDONLY | constants.O_DIRECTORY;

/**
 * `root`: a path of this host. With `isThere` it exists and may be a link to a folder, because the user named it.
 * Otherwise it is created if it is missing, and its last part is not followed.
 */
export function openFolderStack(root: string, { isThere }: { readonly isThere: boolean }): FolderStack {
  const path = Buffer.from(root);
  const isNewRoot = !isThere && makeFolder(path, root);
  const rootFd = openFolder(path, root, isThere ? openFlags : openFlags | constants.O_NOFOLLOW);
  let rootEnd: FolderEnd | undefined;
  const open: { readonly name: string; readonly fd: number; readonly isNew: boolean; end?: FolderEnd }[] = [];

  function leave(): void {
    const level = open.pop();
    if (level === undefined) return;
    try {
      settle(level.fd, level.end);
    } finally {
      closeSync(level.fd);
    }
  }

  function moveTo(folder: readonly string[]): number {
    if (folder.length > maxDepth)
      throw new SoulBoxError('limit_exceeded', `Folders can be at most ${maxDepth} deep: ${show(folder)}`);
    let common = 0;
    while (common < open.length && open[common]?.name === folder[common]) common += 1;
    while (open.length > common) leave();
    for (const name of folder.slice(common)) {
      const below = inside(open.at(-1)?.fd ?? rootFd, name);
      const isNew = makeFolder(below, show(folder));
      open.push({ name, isNew, fd: openFolder(below, show(folder), openFlags | constants.O_NOFOLLOW) });
    }
    return open.at(-1)?.fd ?? rootFd;
  }

  return {
    entry: (folder, name) => inside(moveTo(folder), name),
    enter(folder, end) {
      moveTo(folder);
      const level = open.at(-1);
      if (level === undefined && isNewRoot) rootEnd = end;
      if (level?.isNew === true) level.end = end;
    },
    finish() {
      while (open.length > 0) leave();
      settle(rootFd, rootEnd);
    },
    [Symbol.dispose]() {
      for (const { fd } of open.splice(0)) closeSync(fd);
      closeSync(rootFd);
    },
  };
}

/** A path that leads to an entry of an open folder, wherever the folder is now. */
function inside(fd: number, name: string): Buffer {
  return Buffer.concat([Buffer.from(`/proc/self/fd/${fd}/`), Buffer.from(name, 'latin1')]);
}

/** False if there is something already. */
function makeFolder(path: Buffer, shown: string): boolean {
  try {
    // Nobody else looks into it before it is complete.
    mkdirSync(path, 0o700);
    return true;
  } catch (error) {
    if (isNodeError(error) && error.code === 'EEXIST') return false;
    throw errorFromNode(error, `The folder ${shown} cannot be created${codeOf(error)}.`);
  }
}

function openFolder(path: Buffer, shown: string, flags: number): number {
  try {
    return openSync(path, flags);
  } catch (error) {
    if (isNodeError(error) && (error.code === 'ENOTDIR' || error.code === 'ELOOP'))
      throw new SoulBoxError(
        'not_a_directory',
        `${shown} is a file or a link here. Remove it, or choose another name.`,
      );
    throw errorFromNode(error, `The folder ${shown} cannot be opened${codeOf(error)}.`);
  }
}

function settle(fd: number, end: FolderEnd | undefined): void {
  if (end === undefined) return;
  fchmodSync(fd, end.mode);
  futimesSync(fd, end.mtime, end.mtime);
}

export function codeOf(error: unknown): string {
  return isNodeError(error) && error.code !== undefined ? ` (${error.code})` : '';
}

/** For messages: names come from the sandbox. */
export function show(parts: readonly string[]): string {
  return printable(Buffer.from(parts.join('/'), 'latin1').toString('utf8').slice(0, 300));
}
