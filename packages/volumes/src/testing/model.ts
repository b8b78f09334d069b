import { FuseError } from '@soulbox/fuse';
import type { FuseErrorCode } from '@soulbox/fuse';

/** What a volume must be equal to: the same operations, on plain objects. */
export interface ModelFile {
  readonly kind: 'file';
  content: Buffer;
  nlink: number;
  readonly xattrs: Map<string, string>;
}
export interface ModelFolder {
  readonly kind: 'folder';
  readonly entries: Map<string, ModelNode>;
}
export type ModelNode = ModelFile | ModelFolder;

export interface Model {
  readonly root: ModelFolder;
  createFile(parent: ModelFolder, name: string): ModelFile;
  createFolder(parent: ModelFolder, name: string): ModelFolder;
  link(file: ModelNode, parent: ModelFolder, name: string): void;
  unlink(parent: ModelFolder, name: string): void;
  removeFolder(parent: ModelFolder, name: string): void;
  rename(from: ModelFolder, name: string, to: ModelFolder, newName: string): void;
  exchange(from: ModelFolder, name: string, to: ModelFolder, newName: string): void;
  folders(): ModelFolder[];
}

const fail = (code: FuseErrorCode): never => {
  throw new FuseError(code);
};

export function createModel(): Model {
  const root: ModelFolder = { kind: 'folder', entries: new Map() };
  const get = (parent: ModelFolder, name: string): ModelNode => parent.entries.get(name) ?? fail('ENOENT');
  const add = <T extends ModelNode>(parent: ModelFolder, name: string, node: T): T => {
    if (parent.entries.has(name)) fail('EEXIST');
    parent.entries.set(name, node);
    return node;
  };
  const isInside = (folder: ModelFolder, outer: ModelNode): boolean =>
    outer.kind === 'folder' && (outer === folder || [...outer.entries.values()].some((node) => isInside(folder, node)));
  const drop = (node: ModelNode): void => {
    if (node.kind === 'file') node.nlink -= 1;
  };
  return {
    root,
    createFile: (parent, name) =>
      add(parent, name, { kind: 'file', content: Buffer.alloc(0), nlink: 1, xattrs: new Map() }),
    createFolder: (parent, name) => add(parent, name, { kind: 'folder', entries: new Map() }),
    link(file, parent, name) {
      if (file.kind === 'folder') return fail('EPERM');
      add(parent, name, file);
      file.nlink += 1;
    },
    unlink(parent, name) {
      const node = get(parent, name);
      if (node.kind === 'folder') fail('EISDIR');
      parent.entries.delete(name);
      drop(node);
    },
    removeFolder(parent, name) {
      const node = get(parent, name);
      if (node.kind !== 'folder') return fail('ENOTDIR');
      if (node.entries.size > 0) fail('ENOTEMPTY');
      parent.entries.delete(name);
    },
    rename(from, name, to, newName) {
      const node = get(from, name);
      if (isInside(to, node)) fail('EINVAL');
      const target = to.entries.get(newName);
      if (target === node) return;
      if (target?.kind === 'folder') {
        if (node.kind !== 'folder') fail('EISDIR');
        if (target.entries.size > 0) fail('ENOTEMPTY');
      } else if (target !== undefined && node.kind === 'folder') fail('ENOTDIR');
      from.entries.delete(name);
      to.entries.set(newName, node);
      if (target !== undefined) drop(target);
    },
    exchange(from, name, to, newName) {
      const node = get(from, name);
      if (isInside(to, node)) fail('EINVAL');
      const target = get(to, newName);
      if (isInside(from, target)) fail('EINVAL');
      from.entries.set(name, target);
      to.entries.set(newName, node);
    },
    folders() {
      const all: ModelFolder[] = [root];
      for (const folder of all) for (const node of folder.entries.values()) if (node.kind === 'folder') all.push(node);
      return all;
    },
  };
}

export function writeModel(file: ModelFile, offset: number, data: Uint8Array): void {
  if (offset + data.length > file.content.length) resizeModel(file, offset + data.length);
  file.content.set(data, offset);
}

export function resizeModel(file: ModelFile, size: number): void {
  const content = Buffer.alloc(size);
  content.set(file.content.subarray(0, size));
  file.content = content;
}
