import {
  changeRoot,
  dieWithParent,
  dropBoundingSet,
  filterSystemCalls,
  setNoNewPrivileges,
} from '@soulbox/linux/processes';
import { buildFilter } from './system-call-filter.ts';

export interface Cell {
  /** User and group. */
  readonly id: number;
  /** Other groups that it is in; by default none. */
  readonly groups?: readonly number[];
  /** All that is left of the file system. Sockets that the process calls lie in it. Absent: what its user may see. */
  readonly root?: string;
  /** Whether it may listen, and connect to others, itself. By default it only uses what it is given. */
  readonly opensConnections?: boolean;
}

/**
 * From here on the process is a user of its own, by default in a folder of its own, without capabilities, and the kernel refuses it what it does not
 * need. Everything it will ever load must be loaded before. Holds for all threads, later ones included. Needs root. Throws when any of
 * it fails; the process must end then.
 */
export function dropPrivileges({ id, groups = [], root, opensConnections = false }: Cell): void {
  if (root !== undefined) changeRoot(root);
  dropBoundingSet();
  process.setgroups?.([...groups]);
  process.setgid?.(id);
  process.setuid?.(id);
  dieWithParent();
  setNoNewPrivileges();
  filterSystemCalls(buildFilter(process.arch, { opensConnections }), { allThreads: true });
}
