import {
  changeRoot,
  dieWithParent,
  dropBoundingSet,
  filterSystemCalls,
  setNoNewPrivileges,
} from '@soulbox/linux/processes';
import { buildFilter } from './system-call-filter.ts';

export interface Cell {
  /** Both the user id and the group id. */
  readonly id: number;
  /** Supplementary groups. Default: none. */
  readonly groups?: readonly number[];
  /**
   * The only part of the file system that stays visible. It contains the sockets that the process calls. Absent:
   * everything that the user may see.
   */
  readonly root?: string;
  /** Whether the process may listen and connect by itself. By default it only uses the descriptors it is given. */
  readonly opensConnections?: boolean;
}

/**
 * Drops the privileges of this process. From here on it has a user of its own, by default a root folder of its own, and
 * no capabilities, and the kernel denies it the system calls that it does not need. All code must be loaded before.
 * Applies to all threads, including later ones. Needs root. Throws if any step fails; then the process must end.
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
