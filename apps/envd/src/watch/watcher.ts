import { stat } from 'node:fs/promises';
import { posix } from 'node:path';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { SoulBoxError } from '@soulbox/base';
import type { FilesystemEventSchema } from '@soulbox/contract/filesystem';
import { EventType } from '@soulbox/contract/filesystem';
import { readEntryInfo } from '../filesystem/entry-info.ts';
import { namingPath } from '../filesystem/path-error.ts';
import type { Users } from '../users/users.ts';
import type { EventQueue } from './event-queue.ts';
import { createEventQueue } from './event-queue.ts';
import { isNetworkMount } from './network-mount.ts';
import type { WatchHub } from './watch-hub.ts';
import type { Change, ChangeKind, WatchedTree } from './watched-tree.ts';
import { addTree } from './watched-tree.ts';

export type EventInit = MessageInitShape<typeof FilesystemEventSchema>;

/** A tree that is watched for one client. */
export interface Watcher {
  readonly queue: EventQueue<EventInit>;
  close(): void;
}

export interface WatchOptions {
  readonly recursive: boolean;
  /** Whether create, write and chmod events include a description of the file. */
  readonly includeEntry: boolean;
  readonly allowNetworkMounts: boolean;
}

const eventTypes = {
  create: EventType.CREATE,
  write: EventType.WRITE,
  remove: EventType.REMOVE,
  rename: EventType.RENAME,
  chmod: EventType.CHMOD,
} as const satisfies Record<ChangeKind, EventType>;

/**
 * Starts to watch a directory. Throws file_not_found, not_a_directory, bad_path for a network mount, and
 * limit_exceeded.
 */
export async function openWatcher(hub: WatchHub, users: Users, path: string, options: WatchOptions): Promise<Watcher> {
  return await namingPath(path, async () => {
    if (!(await stat(path)).isDirectory()) throw new SoulBoxError('not_a_directory', `path ${path} is not a directory`);
    if (!options.allowNetworkMounts && (await isNetworkMount(path))) {
      throw new SoulBoxError('bad_path', `cannot watch path on network filesystem: ${path}`);
    }
    const queue = createEventQueue<EventInit>();
    const tree: WatchedTree = {
      root: path,
      recursive: options.recursive,
      directories: new Map(),
      departed: new Map(),
      report: (change) =>
        queue.push(
          options.includeEntry ? withEntry(path, change, users) : { name: change.name, type: eventTypes[change.kind] },
        ),
    };
    try {
      await addTree(hub, tree);
    } catch (error) {
      hub.remove(tree);
      throw error;
    }
    return { queue, close: () => hub.remove(tree) };
  });
}

/** A file that is already gone has no entry. */
async function withEntry(root: string, change: Change, users: Users): Promise<EventInit> {
  const event = { name: change.name, type: eventTypes[change.kind] };
  if (change.kind === 'remove' || change.kind === 'rename') return event;
  try {
    return { ...event, entry: await readEntryInfo(posix.join(root, change.name), users) };
  } catch {
    return event;
  }
}
