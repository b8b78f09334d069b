import { join } from 'node:path';

/**
 * Folders of a data folder in which the runner keeps files of tenants as they are. Files are renamed between them, which
 * the kernel allows only between folders with the same encryption, so all have it or none. Checkpoints and records are
 * not here: the runner encrypts them itself, and the kernel would only do it again.
 */
const names = ['sandboxes', 'layers', 'dependencies'] as const;

export const runnerContentFolders = (dataDirectory: string): string[] => names.map((name) => join(dataDirectory, name));
