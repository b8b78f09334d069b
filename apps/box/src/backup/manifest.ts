import { lstat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { SoulBoxError } from '@soulbox/base';
import { readSealedJson, writeSealedJson } from '@soulbox/checkpoints';

/** The format of a backup that every version restores. A part restores itself, whatever its name is. */
const backupFormat = 1;
/** `leftOut` names volumes, which earlier versions take for damage. */
const formatWithVolumes = 2;

/** Written last: a backup without it is incomplete. */
const manifestName = 'backup.json';

const partSchema = z.object({
  /** The content in readable form: `records`, `layers/ID`. */
  name: z.string().min(1).max(200),
  /** Its destination in the data folder. */
  into: z.enum(['.', 'templates']),
  /** The file in the folder of the backup. */
  file: z.string().regex(/^[a-z0-9][A-Za-z0-9._-]{0,199}[.]tar[.]zst$/),
  sizeBytes: z.number().int().nonnegative(),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  /** Disk space that it takes when it is restored. */
  contentBytes: z.number().int().nonnegative(),
});

const backupSchema = z.object({
  format: z.literal([backupFormat, formatWithVolumes]),
  createdAtMs: z.number().int(),
  /** CPU type of the host: saved memory can only be restored on the same type. */
  cpuType: z.string(),
  /** The programs and versions that saved the memories, by driver, and the count of each. */
  savers: z.array(z.object({ driver: z.string(), version: z.string(), count: z.number().int() })),
  sandboxCount: z.number().int(),
  snapshotCount: z.number().int(),
  /** Also those without files. Earlier versions saved no files of volumes. */
  volumeCount: z.number().int().default(0),
  leftOut: z.array(z.object({ what: z.enum(['sandbox', 'snapshot', 'volume']), id: z.string(), reason: z.string() })),
  parts: z.array(partSchema),
});

export type BackupPart = z.infer<typeof partSchema>;
export type Backup = z.infer<typeof backupSchema>;
export { backupFormat };

/** The oldest format that can say what a backup says. */
export const formatOf = (leftOut: Backup['leftOut']): Backup['format'] =>
  leftOut.some(({ what }) => what === 'volume') ? formatWithVolumes : backupFormat;

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
    return refuse(`has no ${manifestName}: the backup was never completed, or this is not a backup.`);
  const content = await readSealedJson(path);
  if (content === undefined) return refuse(`is damaged: its ${manifestName} was altered or cut.`);
  const format = typeof content === 'object' && content !== null && 'format' in content ? content.format : undefined;
  if (typeof format === 'number' && format > formatWithVolumes)
    return refuse(`was made by a newer SoulBox (format ${format}; this one reads ${formatWithVolumes}).`);
  const parsed = backupSchema.safeParse(content);
  return parsed.success ? parsed.data : refuse(`is damaged: its ${manifestName} is incomplete.`);
}
