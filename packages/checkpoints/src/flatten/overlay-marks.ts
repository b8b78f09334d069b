import { getAttribute, listAttributes, removeAttribute, setAttribute } from '@soulbox/linux/file-attributes';

/** What overlayfs notes at files and folders of a layer; nobody in a sandbox can write it. */
const prefix = 'trusted.overlay.';
/** Value `y`: this folder hides the one of the same name in the layers below. */
const opaque = `${prefix}opaque`;
/** Meant for a layer in use (where a file was copied from, how many names it has), and wrong in another file system. */
const passing = ['origin', 'impure', 'nlink', 'upper', 'uuid'].map((name) => prefix + name);
/** File flags; it means in a lower layer what it means in an upper one. */
const lasting = [`${prefix}protattr`];

export const isOpaque = (folder: Buffer): boolean => listAttributes(folder).includes(opaque);

export const setOpaque = (folder: Buffer): void => setAttribute(folder, opaque, 'y');

/**
 * Throws when overlayfs noted something here that a merge would lose, such as a folder that shows the content of another
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

/** Makes room for the attributes of a folder that is laid over this one: whether it hides what is below stays. */
export function dropOwnAttributes(folder: Buffer): void {
  for (const name of listAttributes(folder)) if (name !== opaque) removeAttribute(folder, name);
}
