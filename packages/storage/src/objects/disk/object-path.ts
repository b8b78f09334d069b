import { StoreFault } from '../store-fault.ts';

/** A file name has at most 255 bytes; that of a folder has the suffix. */
const nameMaxBytes = 254;
const folderSuffix = '+';
/** The last part of a key that ends with a slash. */
const emptyName = '%_';

/**
 * The folders and the file of an object below the root. An object `a` and an object `a/b` can both exist: folders end
 * with `+`. No name begins with a dot, so other files can be beside objects. Each key has exactly one path.
 */
export function pathFromKey(key: string): string {
  const names = key.split('/').map(encodePart);
  if (names.some((name) => Buffer.byteLength(name) > nameMaxBytes))
    throw new StoreFault('bad_request', `On local disk, a part of a key has at most ${nameMaxBytes} bytes.`);
  return names.join(`${folderSuffix}/`);
}

/** The path of a folder below the root, without a last slash. `key` is empty for the root itself, or ends with `/`. */
export function folderPathFromKey(key: string): string {
  return key === '' ? '' : pathFromKey(key.slice(0, -1)) + folderSuffix;
}

function encodePart(part: string): string {
  if (part === '') return emptyName;
  return part.replaceAll('%', '%25').replaceAll('+', '%2B').replace(/^\./, '%2E');
}

/** Undefined for what is no object: names of other programs. */
export function partFromName(name: string): { readonly part: string; readonly isFolder: boolean } | undefined {
  if (name.startsWith('.')) return undefined;
  const isFolder = name.endsWith(folderSuffix);
  const encoded = isFolder ? name.slice(0, -folderSuffix.length) : name;
  const part =
    encoded === emptyName
      ? ''
      : encoded.replace(/%2E|%2B|%25/g, (escape) => String.fromCharCode(Number.parseInt(escape.slice(1), 16)));
  return encodePart(part) === encoded ? { part, isFolder } : undefined;
}
