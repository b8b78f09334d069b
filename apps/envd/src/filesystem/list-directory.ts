import { readdir, realpath, stat } from 'node:fs/promises';
import { posix } from 'node:path';
import { isNodeError, SoulBoxError } from '@soulbox/base';
import type { Users } from '../users/users.ts';
import type { EntryInfoInit } from './entry-info.ts';
import { readEntryInfo } from './entry-info.ts';

/** Each entry takes about 1 KiB while the list is built. */
const maxEntries = 100_000;
/** The number of files examined at once: enough to keep the thread pool busy. */
const batchSize = 64;

/**
 * Lists the contents of a directory in the order of a lexical walk, `depth` levels deep. Follows the directory itself
 * if it is a link, but no links below it. Throws file_not_found, not_a_directory, link_loop and limit_exceeded.
 */
export async function listDirectory(path: string, depth: number, users: Users): Promise<EntryInfoInit[]> {
  const root = await followRoot(path);
  const paths: string[] = [];
  await walk(root, '', depth, paths);
  const entries: EntryInfoInit[] = [];
  for (let start = 0; start < paths.length; start += batchSize) {
    const batch = paths.slice(start, start + batchSize).map((name) => describe(root, path, name, users));
    for (const entry of await Promise.all(batch)) if (entry !== undefined) entries.push(entry);
  }
  return entries;
}

async function followRoot(path: string): Promise<string> {
  const root = await realpath(path);
  if (!(await stat(root)).isDirectory()) throw new SoulBoxError('not_a_directory', `path is not a directory: ${path}`);
  return root;
}

async function walk(root: string, below: string, depth: number, paths: string[]): Promise<void> {
  const found = await readdir(posix.join(root, below), { withFileTypes: true });
  for (const entry of found.sort((a, b) => Buffer.compare(Buffer.from(a.name), Buffer.from(b.name)))) {
    if (paths.length >= maxEntries) {
      throw new SoulBoxError(
        'limit_exceeded',
        `The directory has more than ${maxEntries} entries. Use a smaller depth.`,
      );
    }
    const name = posix.join(below, entry.name);
    paths.push(name);
    if (depth > 1 && entry.isDirectory()) await walk(root, name, depth - 1, paths).catch(ignoreVanished);
  }
}

async function describe(
  root: string,
  displayPath: string,
  name: string,
  users: Users,
): Promise<EntryInfoInit | undefined> {
  const entry = await readEntryInfo(posix.join(root, name), users).catch(ignoreVanished);
  return entry === undefined ? undefined : { ...entry, path: posix.join(displayPath, name) };
}

/** Ignores entries that are deleted during the walk. */
function ignoreVanished(error: unknown): undefined {
  if (isNodeError(error) && (error.code === 'ENOENT' || error.code === 'ENOTDIR')) return undefined;
  throw error;
}
