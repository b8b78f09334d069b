import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomic } from '@soulbox/base';
import { runFolder } from '@soulbox/isolation';
import type { DiskFigures } from './budget.ts';

/**
 * Writes the figures to a file system in the host's memory, not to the disk that they describe. `soulbox doctor` reads
 * them with or without a server.
 */
export async function writeFigures(
  instance: number,
  dataDirectory: string,
  figures: DiskFigures & { readonly overcommit: number },
): Promise<void> {
  await mkdir(runFolder(instance), { recursive: true });
  const text = JSON.stringify({ dataDirectory, atMs: Date.now(), ...figures });
  await writeFileAtomic(join(runFolder(instance), 'disk.json'), text);
}
