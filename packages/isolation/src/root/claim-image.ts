import { readdir, rename } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { RootLayout } from './layout.ts';
import { imageSuffix } from './layout.ts';

/**
 * A kept disk has the name of the instance that left it. A server with another number, such as one on a restored backup, gives it its
 * own. Without processes nobody has it mounted.
 */
export async function claimImage(
  { image }: Pick<RootLayout, 'image'>,
  sandboxId: string,
  directory: string,
): Promise<void> {
  const names = await readdir(directory).catch(() => [] as string[]);
  if (names.includes(basename(image))) return;
  const left = names.find((name) => /^soulbox-\d+-/.test(name) && name.endsWith(`-${sandboxId}${imageSuffix}`));
  if (left === undefined) return;
  // What stands beside it first: without the image a crash in between is repeated.
  for (const name of names.filter((other) => other.startsWith(`${left}.`)))
    await rename(join(directory, name), image + name.slice(left.length));
  await rename(join(directory, left), image);
}
