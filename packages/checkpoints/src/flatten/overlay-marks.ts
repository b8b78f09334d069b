import { getAttribute, listAttributes, removeAttribute, setAttribute } from '@soulbox/linux/file-attributes';

/** Prefix of the attributes of overlayfs on files and folders of a layer. No program in a sandbox can write them. */
const prefix = 'trusted.overlay.';
/** Value `y`: this folder hides the folder with the same name in the layers below. */
const opaque = `${prefix}opaque`;
/**
 * Valid only for a layer in use (the origin of a copied file, its number of names), and wrong in another file system.
 */
const passing = ['origin', 'impure', 'nlink', 'upper', 'uuid'].map((name) => prefix + name);
/** File flags. The meaning is the same in a lower and in an upper layer. */
const lasting = [`${prefix}protattr`];

export const isOpaque = (folder: Buffer): boolean => listAttributes(folder).includes(opaque);

export const setOpaque = (folder: Buffer): void => setAttribute(folder, opaque, 'y');

/**
 * Throws for marks of overlayfs that a merge would lose, such as a folder that shows the content of another one
 * (`redirect`) or a file whose content is in a layer below (`metacopy`). The driver's mounts never make them.
 */
export function checkMarks(path: Buffer): void {
  const marks = listAttributes(path).filter((name) => name.startsWith(prefix));
  const other = marks.find((name) => ![opaque, ...passing, ...lasting].includes(name));
  if (other !== undefined) throw new Error(`a layer has the mark ${other}`);
  if (marks.includes(opaque) && getAttribute(path, opaque) !== 'y')
    throw new Error('a layer has marks of another form');
}

export function dropPassingMarks(path: Buffer): void {
  for (const name of listAttributes(path)) if (passing.includes(name)) removeAttribute(path, name);
}

/** Removes attributes so that those of an upper folder can replace them. The opaque mark stays. */
export function dropOwnAttributes(folder: Buffer): void {
  for (const name of listAttributes(folder)) if (name !== opaque) removeAttribute(folder, name);
}
