import { unusable } from '@soulbox/contract/export-file';
import type { Ext4Image, Inode } from './ext4.ts';

/** The folder of an image with the files of the sandbox (isolation/root/layout.ts). */
const upperFolder = 'u';
const maxEntries = 2_000_000;
const maxDepth = 1024;

/** A file as the layers show it. `deleted`: a file of the template that is hidden. */
export interface ViewedFile {
  readonly kind: Inode['kind'] | 'deleted';
  readonly mode: number;
  readonly sizeBytes: number;
  read(): AsyncGenerator<Buffer>;
}

/** By path, from `/`. Names are bytes, as latin1 text. The template below the layers is not in it. */
export type FileView = ReadonlyMap<string, ViewedFile>;

interface Part {
  readonly image: Ext4Image;
  readonly inode: Inode;
}

/** What a sandbox over these layers sees, topmost first, as overlayfs merges them. Throws `export_unusable`. */
export async function viewLayers(images: readonly Ext4Image[]): Promise<FileView> {
  const found = new Map<string, ViewedFile>();
  const roots: Part[] = [];
  for (const image of images) {
    const inode = (await image.list(image.root)).get(upperFolder);
    if (inode?.kind === 'folder') roots.push({ image, inode });
  }
  const walk = async (path: string, folders: readonly Part[], depth: number, isCovered: boolean): Promise<void> => {
    if (depth > maxDepth) throw unusable('a layer has folders that contain themselves');
    const below = new Map<string, Part[]>();
    for (const { image, inode } of folders)
      for (const [name, entry] of await image.list(inode))
        below.set(name, [...(below.get(name) ?? []), { image, inode: entry }]);
    for (const [name, parts] of [...below].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
      const [top] = parts;
      if (top === undefined) continue;
      if (found.size >= maxEntries) throw unusable(`its layers have more than ${maxEntries} files`);
      const child = `${path}/${name}`;
      if (top.inode.isWhiteout) {
        if (!isCovered) found.set(child, { kind: 'deleted', mode: 0, sizeBytes: 0, read: nothing });
        continue;
      }
      const { image, inode } = top;
      found.set(child, { ...pick(inode), read: () => image.read(inode) });
      if (inode.kind !== 'folder') continue;
      const merged = visible(parts);
      await walk(child, merged.folders, depth + 1, isCovered || merged.isCovered);
    }
  };
  await walk('', roots, 0, false);
  return found;
}

const pick = ({ kind, mode, sizeBytes }: Inode) => ({ kind, mode, sizeBytes });

// oxlint-disable-next-line typescript/require-await -- it has no content
async function* nothing(): AsyncGenerator<Buffer> {
  return;
}

/** The folders of this name that are merged: up to the first opaque one, or the first other file. */
function visible(parts: readonly Part[]): { readonly folders: Part[]; readonly isCovered: boolean } {
  const folders: Part[] = [];
  for (const part of parts) {
    if (part.inode.kind !== 'folder') return { folders, isCovered: true };
    folders.push(part);
    if (part.inode.isOpaque) return { folders, isCovered: true };
  }
  return { folders, isCovered: false };
}
