import { join } from 'node:path';

/**
 * Folders of a data folder in which the runner keeps what tenants made. Files are renamed and linked between them, which
 * the kernel allows only between folders with the same encryption, so all have it or none.
 */
const names = [
  'sandboxes',
  'states',
  'layers',
  'snapshots',
  'build-cache',
  'archive',
  'damaged',
  'dependencies',
  'dependencies-new',
] as const;

export const runnerContentFolders = (dataDirectory: string): string[] => names.map((name) => join(dataDirectory, name));
