import { FuseError } from '@soulbox/fuse';
import type { FuseContext } from '@soulbox/fuse';
import type { OpenFile } from '../content/open-file.ts';
import { newKey } from '../names/keys.ts';
import { checkWritable, folderKeyOf, newNode } from './bucket-mount.ts';
import type { BucketMount } from './bucket-mount.ts';

/** The store copies no more at once (S3). `mv` then copies by itself. */
const copyBytesMax = 5 * 1024 ** 3;

export interface Renamed {
  readonly parent: number;
  readonly name: Uint8Array;
  readonly newParent: number;
  readonly newName: Uint8Array;
  readonly flags: number;
}

/**
 * Renames a file: the store copies the object, and the old one is deleted. So it is not atomic: others can see both. Of
 * folders it would be thousands of copies; EXDEV tells programs to move them file by file.
 */
export async function rename(mount: BucketMount, renamed: Renamed, context: FuseContext): Promise<void> {
  const { store, state, facts, files } = mount;
  checkWritable(mount);
  // Copies have no conditions.
  if (renamed.flags !== 0) throw new FuseError('EINVAL');
  const folder = folderKeyOf(mount, renamed.parent);
  const from = newKey(folder, renamed.name);
  const to = newKey(folderKeyOf(mount, renamed.newParent), renamed.newName);
  if (from === to) return;
  const openOf = (key: string): OpenFile | undefined => {
    const nodeId = state.findNode(key);
    return nodeId === undefined ? undefined : files.find(nodeId);
  };
  const file = openOf(from);
  if (file !== undefined) await files.flush(file);
  const source = await facts.find(from);
  const target = await facts.find(to);
  if (source.kind === 'absent') {
    if (context.isResent && target.kind === 'file') return;
    throw new FuseError('ENOENT');
  }
  if (source.kind === 'folder') throw new FuseError('EXDEV', 'Folders of buckets cannot be renamed.');
  if (target.kind === 'folder') throw new FuseError('EISDIR');
  if (source.size > copyBytesMax) throw new FuseError('EXDEV');
  const replaced = openOf(to);
  if (replaced !== undefined) await files.keepContent(replaced);
  const { version } = await store.copy(from, to);
  facts.change(to);
  // Who has written meanwhile keeps the object.
  const left = await facts.ask(from);
  if (left !== undefined && left.version !== source.version)
    throw new FuseError('ESTALE', 'The object was changed by somebody else.');
  await store.delete(from);
  if (file !== undefined) files.moved(file, to, version);
  const nodeId = state.findNode(from);
  if (nodeId === undefined) newNode(mount, to);
  else state.move(nodeId, to);
  if (nodeId !== undefined) mount.told.set(nodeId, version);
  facts.change(from);
  facts.keepFolder(folder);
}
