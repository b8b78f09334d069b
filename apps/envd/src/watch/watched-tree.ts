import { readdir } from 'node:fs/promises';
import { posix } from 'node:path';
import { isNodeError, SoulBoxError } from '@soulbox/base';
import type { InotifyEvent } from '../sys/inotify.ts';
import { inotifyMask } from '../sys/inotify.ts';

/** The kernel watches that form the trees. */
export interface KernelWatches {
  /** Watches a directory for a tree. Throws ENOENT and ENOTDIR, and limit_exceeded if the kernel has no watch left. */
  add(tree: WatchedTree, name: string): void;
  /** Removes one watch of a tree. */
  forget(tree: WatchedTree, watch: number): void;
  warn(message: string, cause: unknown): void;
}

export type ChangeKind = 'create' | 'write' | 'remove' | 'rename' | 'chmod';

export interface Change {
  readonly kind: ChangeKind;
  /** Relative to the watched directory. `.` is the directory itself. */
  readonly name: string;
}

/** A watched directory, and with `recursive` all directories below it. */
export interface WatchedTree {
  readonly root: string;
  readonly recursive: boolean;
  /** Kernel watches of this tree, each with the directory's path relative to the root (empty for the root). */
  readonly directories: Map<number, string>;
  /** Directories that were moved away and may still arrive elsewhere, by the kernel's cookie. */
  readonly departed: Map<number, string>;
  readonly report: (change: Change) => void;
}

/** Each one needs a kernel watch. A user has some tens of thousands of them. */
const maxDirectories = 65_536;
/**
 * The two halves of a rename follow each other directly. A first half without a second means that the directory left
 * the tree.
 */
const arrivalGraceMs = 100;

/** Watches the root and the directories below it. Throws limit_exceeded if the kernel or envd has no more watches. */
export async function addTree(watches: KernelWatches, tree: WatchedTree): Promise<void> {
  addDirectory(watches, tree, '');
  if (tree.recursive) await addChildren(watches, tree, '', 'nothing');
}

/** After lost events: watches new directories and reports them. */
export async function rescanTree(watches: KernelWatches, tree: WatchedTree): Promise<void> {
  if (tree.recursive) await addChildren(watches, tree, '', 'directories').catch(() => undefined);
}

/** Translates one kernel event to changes, and follows directories that are created, removed or moved. */
export function applyEvent(watches: KernelWatches, tree: WatchedTree, directory: string, event: InotifyEvent): void {
  if (event.name === '') {
    if (directory === '') applyRootEvent(tree, event);
    return;
  }
  const name = posix.join(directory, event.name);
  const isDirectory = (event.mask & inotifyMask.isDirectory) !== 0;
  if ((event.mask & inotifyMask.create) !== 0) {
    tree.report({ kind: 'create', name });
    if (isDirectory && tree.recursive) void followNew(watches, tree, name);
  }
  if ((event.mask & inotifyMask.modify) !== 0) tree.report({ kind: 'write', name });
  if ((event.mask & inotifyMask.attrib) !== 0) tree.report({ kind: 'chmod', name });
  if ((event.mask & inotifyMask.delete) !== 0) tree.report({ kind: 'remove', name });
  if ((event.mask & inotifyMask.movedFrom) !== 0) {
    tree.report({ kind: 'rename', name });
    if (isDirectory) depart(watches, tree, name, event.cookie);
  }
  if ((event.mask & inotifyMask.movedTo) !== 0) {
    tree.report({ kind: 'create', name });
    if (isDirectory && tree.recursive) arrive(watches, tree, name, event.cookie);
  }
}

function applyRootEvent(tree: WatchedTree, event: InotifyEvent): void {
  if ((event.mask & inotifyMask.deleteSelf) !== 0) tree.report({ kind: 'remove', name: '.' });
  if ((event.mask & inotifyMask.moveSelf) !== 0) tree.report({ kind: 'rename', name: '.' });
  if ((event.mask & inotifyMask.attrib) !== 0) tree.report({ kind: 'chmod', name: '.' });
}

function addDirectory(watches: KernelWatches, tree: WatchedTree, name: string): void {
  if (tree.directories.size >= maxDirectories) {
    throw new SoulBoxError('limit_exceeded', `At most ${maxDirectories} directories can be watched at once.`);
  }
  watches.add(tree, name);
}

/**
 * Watches everything below a directory that is already watched, so entries that appear meanwhile are seen twice instead
 * of never. `reported` determines which new entries are reported as created.
 */
async function addChildren(
  watches: KernelWatches,
  tree: WatchedTree,
  name: string,
  reported: 'nothing' | 'directories' | 'everything',
): Promise<void> {
  const known = new Set(tree.directories.values());
  for (const entry of await readdir(posix.join(tree.root, name), { withFileTypes: true })) {
    const child = posix.join(name, entry.name);
    const counts = reported === 'everything' || (reported === 'directories' && entry.isDirectory());
    if (counts && !known.has(child)) tree.report({ kind: 'create', name: child });
    if (!entry.isDirectory()) continue;
    try {
      addDirectory(watches, tree, child);
      await addChildren(watches, tree, child, reported);
    } catch (error) {
      if (!isVanished(error)) throw error;
    }
  }
}

/** Watches a new directory and everything that was put into it before the watch was set. */
async function followNew(watches: KernelWatches, tree: WatchedTree, name: string): Promise<void> {
  try {
    addDirectory(watches, tree, name);
    await addChildren(watches, tree, name, 'everything');
  } catch (error) {
    if (!isVanished(error)) watches.warn('A new directory cannot be watched', error);
  }
}

function depart(watches: KernelWatches, tree: WatchedTree, name: string, cookie: number): void {
  tree.departed.set(cookie, name);
  setTimeout(() => {
    if (!tree.departed.delete(cookie)) return;
    for (const [watch, directory] of tree.directories) if (isWithin(directory, name)) watches.forget(tree, watch);
  }, arrivalGraceMs);
}

function arrive(watches: KernelWatches, tree: WatchedTree, name: string, cookie: number): void {
  const from = tree.departed.get(cookie);
  tree.departed.delete(cookie);
  if (from === undefined) {
    void followNew(watches, tree, name);
    return;
  }
  for (const [watch, directory] of tree.directories) {
    if (isWithin(directory, from)) tree.directories.set(watch, name + directory.slice(from.length));
  }
}

function isWithin(directory: string, parent: string): boolean {
  return directory === parent || directory.startsWith(`${parent}/`);
}

function isVanished(error: unknown): boolean {
  return isNodeError(error) && (error.code === 'ENOENT' || error.code === 'ENOTDIR');
}
