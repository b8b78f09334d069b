import { lstat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { SoulBoxError } from '@soulbox/base';
import { readSealedJson, writeSealedJson } from '@soulbox/checkpoints';

/** A backup of another version is refused. */
const backupFormat = 1;

/** Written last: a backup without it is not complete. */
const manifestName = 'backup.json';

const partSchema = z.object({
  /** What it holds, as people are told: `records`, `layers/ID`. */
  name: z.string().min(1).max(200),
  /** Where below the data folder it belongs. */
  into: z.enum(['.', 'templates']),
  /** In the folder of the backup. */
  file: z.string().regex(/^[a-z0-9][A-Za-z0-9._-]{0,199}[.]tar[.]zst$/),
  sizeBytes: z.number().int().nonnegative(),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  /** What it takes of the disk when it is restored. */
  contentBytes: z.number().int().nonnegative(),
});

const backupSchema = z.object({
  format: z.literal(backupFormat),
  createdAtMs: z.number().int(),
  /** Of the host: memory goes on only where it is the same. */
  cpuType: z.string(),
  /** What saved memories, by driver: program and version, and how many. */
  savers: z.array(z.object({ driver: z.string(), version: z.string(), count: z.number().int() })),
  sandboxCount: z.number().int(),
  snapshotCount: z.number().int(),
  leftOut: z.array(z.object({ what: z.enum(['sandbox', 'snapshot']), id: z.string(), reason: z.string() })),
  parts: z.array(partSchema),
});

export type BackupPart = z.infer<typeof partSchema>;
export type Backup = z.infer<typeof backupSchema>;
export { backupFormat };

export async function writeBackupManifest(directory: string, backup: Backup): Promise<void> {
  await writeSealedJson(join(directory, manifestName), backup);
}

/** Throws `backup_unusable`. */
export async function readBackupManifest(directory: string): Promise<Backup> {
  const refuse = (why: string): never => {
    throw new SoulBoxError('backup_unusable', `${directory} ${why}`);
  };
  const found = await lstat(directory).catch(() => undefined);
  if (found?.isDirectory() !== true) return refuse('is not the folder of a backup.');
  const path = join(directory, manifestName);
  if ((await lstat(path).catch(() => undefined)) === undefined)
    return refuse(`has no ${manifestName}: the backup was never completed, or this is not one.`);
  const content = await readSealedJson(path);
  if (content === undefined) return refuse(`is damaged: its ${manifestName} was altered or cut.`);
  const format = typeof content === 'object' && content !== null && 'format' in content ? content.format : undefined;
  if (typeof format === 'number' && format > backupFormat)
    return refuse(`was made by a newer SoulBox (format ${format}; this one reads ${backupFormat}).`);
  const parsed = backupSchema.safeParse(content);
  return parsed.success ? parsed.data : refuse(`is damaged: its ${manifestName} lacks something.`);
}
