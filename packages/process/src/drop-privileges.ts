import {
  changeRoot,
  dieWithParent,
  dropBoundingSet,
  filterSystemCalls,
  setNoNewPrivileges,
} from '@soulbox/linux/processes';
import { buildFilter } from './system-call-filter.ts';

export interface Cell {
  /** User and group; every other group is given up. */
  readonly id: number;
  /** All that is left of the file system. Sockets that the process calls lie in it. */
  readonly root: string;
}

/**
 * From here on the process is a user of its own in a folder of its own, without capabilities, and the kernel refuses it what it does not
 * need. Everything it will ever load must be loaded before. Holds for all threads, later ones included. Needs root. Throws when any of
 * it fails; the process must end then.
 */
export function dropPrivileges({ id, root }: Cell): void {
  changeRoot(root);
  dropBoundingSet();
  process.setgroups?.([]);
  process.setgid?.(id);
  process.setuid?.(id);
  dieWithParent();
  setNoNewPrivileges();
  filterSystemCalls(buildFilter(), { allThreads: true });
}
