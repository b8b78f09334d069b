import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

const directory = join(import.meta.dirname, '../../../../docs');

/** The pages of docs/ by name without `.md`. */
export type OwnDocuments = ReadonlyMap<string, string>;

/** Reads the pages at the start of the server. Empty without such a folder. */
export async function readOwnDocuments(): Promise<OwnDocuments> {
  const entries = await readdir(directory, { withFileTypes: true }).catch(() => []);
  const names = entries.filter((entry) => entry.isFile() && entry.name.endsWith('.md')).map((entry) => entry.name);
  const texts = await Promise.all(names.sort().map(async (name) => await readFile(join(directory, name), 'utf8')));
  return new Map(names.map((name, index) => [name.slice(0, -'.md'.length), texts[index] ?? '']));
}
