import { mkdir, rm, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { errorFromNode, run, SoulBoxError, writeFileAtomic } from '@soulbox/base';
import { silentLogger } from '@soulbox/base/logger';
import { readCpuType } from '@soulbox/runner';
import type { EncryptedFolders } from '@soulbox/runner/process';
import { createDrivers } from '../drivers.ts';
import { emptyFolder, flushFolder, openTarget } from './folders.ts';
import { fileKeyringRecords } from '@soulbox/keyring';
import type { KeyringConfig } from '@soulbox/keyring/config';
import { runnerKeysFileIn, volumesDirectoryIn } from '../data-folder.ts';
import { encryptTarget, isKeyPart, templatesAmong } from './encrypt-target.ts';
import type { Backup, BackupPart } from './manifest.ts';
import { incompleteMark, refuseHalfRestored } from './half-restored.ts';
import { readBackupManifest } from './manifest.ts';
import { readPart } from './part-file.ts';
import { checkVolumePart } from './volume-tree.ts';

export interface RestoreBackup {
  readonly source: string;
  /** The data folder, which must be missing or empty. */
  readonly target: string;
  /** The master keys, if the folders with what tenants made are to be encrypted. */
  readonly encryptWith?: KeyringConfig;
  readonly onStep: (text: string) => void;
  readonly signal: AbortSignal;
}

export interface Restored {
  readonly backup: Backup;
  /** Parts of the backup that this host cannot resume, and a key that the kernel keeps. */
  readonly warnings: readonly string[];
}

/**
 * Creates a data folder from a backup. Verifies the digest of every part. After a failure nothing remains. Throws
 * `backup_unusable`, `bad_path` for a target that is not empty, `disk_full` before anything is written, and
 * `config_invalid` for a target that cannot be encrypted.
 */
export async function restoreBackup(options: RestoreBackup): Promise<Restored> {
  const { source, target, encryptWith, onStep, signal } = options;
  const backup = await readBackupManifest(source);
  await refuseHalfRestored(target);
  await openTarget(target);
  await checkRoom(backup, target);
  const keyWarnings: string[] = [];
  const logger = { warn: (_: object, message: string) => void keyWarnings.push(`${message}.`) };
  let encrypted: EncryptedFolders | undefined;
  try {
    await writeFileAtomic(join(target, incompleteMark), '', { durable: true });
    await mkdir(join(target, 'templates'), { mode: 0o700 });
    const read = async (parts: readonly BackupPart[]): Promise<void> => {
      for (const part of parts) {
        onStep(`${backup.parts.indexOf(part) + 1} of ${backup.parts.length}: ${part.name}`);
        await readPart(join(source, part.file), part, join(target, part.into), signal);
        await checkVolumePart(part, target);
      }
    };
    await read(backup.parts.filter(isKeyPart));
    // With the key of its origin, the end of one of the two servers would take the key from the other.
    await fileKeyringRecords(runnerKeysFileIn(target)).removeDiskKey();
    if (encryptWith !== undefined)
      encrypted = await encryptTarget(target, templatesAmong(backup.parts), { config: encryptWith, logger });
    // Encrypted or not, it is there before a file is.
    await mkdir(volumesDirectoryIn(target), { recursive: true, mode: 0o700 });
    await read(backup.parts.filter((part) => !isKeyPart(part)));
    onStep('writing it to the disk');
    await run('sync', ['--file-system', target], { timeoutMs: 600_000 });
    await rm(join(target, incompleteMark));
    await flushFolder(target);
    await encrypted?.lock();
  } catch (error) {
    // Root removes files without their key.
    await encrypted?.lock();
    await emptyFolder(target);
    throw errorFromNode(error, `The backup could not be restored to ${target}.`);
  }
  return { backup, warnings: [...keyWarnings, ...(await findMisfits(backup))] };
}

async function checkRoom({ parts }: Backup, target: string): Promise<void> {
  const needBytes = parts.reduce((sum, { contentBytes }) => sum + contentBytes, 0);
  const { bavail, bsize } = await statfs(target);
  if (bavail * bsize >= needBytes) return;
  const [need, free] = [needBytes, bavail * bsize].map((bytes) => Math.ceil(bytes / 2 ** 20));
  throw new SoulBoxError(
    'disk_full',
    `The backup needs ${need} MiB, but the disk of ${target} has only ${free} MiB free.`,
  );
}

/**
 * Sandboxes whose memory cannot be restored here are restored all the same, because their files can be used (`resume`
 * without memory).
 */
export async function findMisfits({ cpuType, savers }: Pick<Backup, 'cpuType' | 'savers'>): Promise<string[]> {
  const count = savers.reduce((sum, saver) => sum + saver.count, 0);
  if (count > 0 && cpuType !== (await readCpuType()))
    return [
      `The CPU of this host has different features: ${count} checkpoints cannot be restored here. Only their files can be used.`,
    ];
  const drivers = await createDrivers(0, silentLogger);
  const warnings: string[] = [];
  for (const saver of savers) {
    const here = await drivers.get(saver.driver)?.readVersion();
    if (here !== saver.version)
      warnings.push(
        `${saver.count} checkpoints were saved by ${saver.version}. This host has ${here === undefined || here === '' ? 'none' : here}, which may be unable to restore them.`,
      );
  }
  return warnings;
}
