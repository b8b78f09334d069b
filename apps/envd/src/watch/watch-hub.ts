import { posix } from 'node:path';
import { isNodeError, SoulBoxError } from '@soulbox/base';
import type { LifeLog } from '../life-log.ts';
import type { Inotify, InotifyEvent } from '../sys/inotify.ts';
import { inotifyMask, openInotify } from '../sys/inotify.ts';
import type { KernelWatches, WatchedTree } from './watched-tree.ts';
import { applyEvent, rescanTree } from './watched-tree.ts';

/** The single inotify instance of envd, shared by all watched trees. */
export interface WatchHub extends KernelWatches {
  /** Removes all watches of a tree. */
  remove(tree: WatchedTree): void;
}

export function createWatchHub(log: LifeLog): WatchHub {
  /** The kernel returns the same number for the same directory, so several trees can share one. */
  const treesByWatch = new Map<number, Set<WatchedTree>>();
  let inotify: Inotify | undefined;

  function dispatch(event: InotifyEvent): void {
    if ((event.mask & inotifyMask.queueOverflow) !== 0) {
      hub.warn('The kernel dropped file events', undefined);
      for (const tree of new Set([...treesByWatch.values()].flatMap((trees) => [...trees]))) void rescanTree(hub, tree);
      return;
    }
    for (const tree of [...(treesByWatch.get(event.watch) ?? [])]) {
      const directory = tree.directories.get(event.watch);
      if (directory !== undefined) applyEvent(hub, tree, directory, event);
      // The kernel has dropped the watch, because the directory is gone.
      if ((event.mask & inotifyMask.ignored) !== 0) tree.directories.delete(event.watch);
    }
    if ((event.mask & inotifyMask.ignored) !== 0) treesByWatch.delete(event.watch);
  }

  const hub: WatchHub = {
    add(tree, name) {
      inotify ??= openInotify((events) => events.forEach(dispatch));
      const watch = addWatch(inotify, posix.join(tree.root, name));
      tree.directories.set(watch, name);
      const trees = treesByWatch.get(watch) ?? new Set();
      treesByWatch.set(watch, trees.add(tree));
    },
    forget(tree, watch) {
      tree.directories.delete(watch);
      const trees = treesByWatch.get(watch);
      trees?.delete(tree);
      if (trees?.size !== 0) return;
      treesByWatch.delete(watch);
      inotify?.remove(watch);
    },
    remove(tree) {
      for (const watch of [...tree.directories.keys()]) hub.forget(tree, watch);
    },
    warn: (message, cause) =>
      log.record('warn', 'watch', message, cause instanceof Error ? { cause: cause.message } : {}),
  };
  return hub;
}

function addWatch(inotify: Inotify, path: string): number {
  try {
    return inotify.add(path);
  } catch (error) {
    if (!isNodeError(error) || (error.code !== 'ENOSPC' && error.code !== 'ENOMEM')) throw error;
    throw new SoulBoxError('limit_exceeded', `The kernel cannot watch '${path}': its limit of watches is reached.`, {
      cause: error,
    });
  }
}
