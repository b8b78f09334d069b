import { readdir, rename } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { RootLayout } from './layout.ts';
import { imageSuffix } from './layout.ts';

/**
 * The name of a kept disk contains the number of the instance that left it. A server with another number, such as one
 * on a restored backup, renames it to its own. Nothing has it mounted, because the sandbox has no processes.
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
  // The files beside the image come first: until the image is renamed, this step is repeated after a crash.
  for (const name of names.filter((other) => other.startsWith(`${left}.`)))
    await rename(join(directory, name), image + name.slice(left.length));
  await rename(join(directory, left), image);
}
