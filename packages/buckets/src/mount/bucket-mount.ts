import { FuseError } from '@soulbox/fuse';
import type { FuseAttr, FuseEntry } from '@soulbox/fuse';
import type { ObjectStore } from '@soulbox/storage/objects';
import { sizeOf } from '../content/open-file.ts';
import type { OpenFile } from '../content/open-file.ts';
import type { OpenFiles } from '../content/open-files.ts';
import { attributesOf, inoOf, inoOfNameless } from '../names/attributes.ts';
import type { FileFact, Facts } from '../names/facts.ts';
import { isFolderKey } from '../names/keys.ts';
import type { MountState } from '../state/mount-state.ts';

/** What all methods of a mount share. */
export interface BucketMount {
  readonly store: ObjectStore;
  readonly state: MountState;
  readonly facts: Facts;
  readonly files: OpenFiles;
  readonly isReadOnly: boolean;
  /** The version that the kernel was told last of a node that has one. */
  readonly told: Map<number, string>;
  readonly folderMs: number;
  /** How long the kernel may keep that a name is absent. */
  readonly absentMs: number;
}

/** Throws EROFS. */
export function checkWritable({ isReadOnly }: BucketMount): void {
  if (isReadOnly) throw new FuseError('EROFS');
}

/** The key of a folder. Throws ENOTDIR, and ENOENT if it was removed. */
export function folderKeyOf({ state }: BucketMount, nodeId: number): string {
  const key = state.keyOf(nodeId);
  if (key === undefined) throw new FuseError('ENOENT');
  if (!isFolderKey(key)) throw new FuseError('ENOTDIR');
  return key;
}

/** The kernel keeps no names of files and no attributes: others change the bucket. What it asks is mostly remembered here. */
const ttls = { entryTtlMs: 0, attrTtlMs: 0 } as const;

function entryOf(nodeId: number, attr: FuseAttr): FuseEntry {
  return { nodeId, generation: 0, attr, ...ttls };
}

export function folderEntry(mount: BucketMount, key: string): FuseEntry {
  return entryOf(mount.state.nodeOf(key), attributesOf(inoOf(key), 'folder', mount));
}

export function openFileAttr(mount: BucketMount, file: OpenFile): FuseAttr {
  const { nodeId, modifiedMs } = file;
  const key = mount.state.keyOf(nodeId);
  const ino = key === undefined ? inoOfNameless(nodeId) : inoOf(key);
  return attributesOf(ino, { size: sizeOf(file), modifiedMs }, mount);
}

/** Also notes what the kernel is told. */
export function openFileEntry(mount: BucketMount, file: OpenFile): FuseEntry {
  if (file.version !== undefined) mount.told.set(file.nodeId, file.version);
  return entryOf(file.nodeId, openFileAttr(mount, file));
}

/**
 * The node of an object. One that a program has open is another node when the object was replaced meanwhile: sizes and
 * pages of two versions never mix.
 */
export function fileEntry(mount: BucketMount, key: string, fact: FileFact): FuseEntry {
  const { state, files, told } = mount;
  const known = state.findNode(key);
  const file = known === undefined ? undefined : files.find(known);
  if (file !== undefined) {
    if (file.isDirty || file.version === fact.version) return openFileEntry(mount, file);
    state.detach(file.nodeId);
  }
  const nodeId = state.nodeOf(key);
  told.set(nodeId, fact.version);
  return entryOf(nodeId, fileAttr(mount, key, fact));
}

export function fileAttr(mount: BucketMount, key: string, fact: FileFact): FuseAttr {
  return attributesOf(inoOf(key), fact, mount);
}

/** A number for a new file or folder, which is no number of one that was there before. */
export function newNode({ state }: BucketMount, key: string): number {
  const known = state.findNode(key);
  if (known !== undefined) state.detach(known);
  return state.nodeOf(key);
}
