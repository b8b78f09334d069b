import { lstat, mkdir, readdir, rename } from 'node:fs/promises';
import { join } from 'node:path';

export async function isThere(path: string): Promise<boolean> {
  return (await lstat(path).catch(() => undefined)) !== undefined;
}

/** Moves a tree on one file system into a folder: what is there already is kept, and folders are merged. */
export async function moveInto(from: string, to: string): Promise<void> {
  await mkdir(to, { recursive: true, mode: 0o700 });
  for (const name of await readdir(from)) {
    const [source, target] = [join(from, name), join(to, name)];
    if (!(await isThere(target))) await rename(source, target);
    else if ((await lstat(source)).isDirectory()) await moveInto(source, target);
  }
}
