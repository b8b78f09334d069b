import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from '@soulbox/base';
import { openMasterKeySources } from '@soulbox/keyring';
import type { KeyringConfig } from '@soulbox/keyring/config';
import { encryptFolders, openRunnerKeys, runnerContentFolders } from '@soulbox/runner/process';
import type { EncryptedFolders } from '@soulbox/runner/process';
import { openDiskReserve } from '@soulbox/storage';
import { bucketsDirectoryIn, masterKeyFileIn, runnerKeysFileIn, volumesDirectoryIn } from '../data-folder.ts';
import type { BackupPart } from './manifest.ts';

/** These parts have the keys, and nothing that tenants made. */
export const isKeyPart = ({ name }: BackupPart): boolean => name === 'secrets' || name === 'runner-keys';

/** The ids of the templates among the parts. */
export const templatesAmong = (parts: readonly BackupPart[]): string[] =>
  parts.map(({ name }) => /^templates\/([a-z0-9]+)$/.exec(name)?.[1]).filter((id) => id !== undefined);

/**
 * Creates the encrypted folders of a data folder that has its keys and no files of tenants yet, and those of templates
 * that are written next. The kernel has the key until the caller locks them. Errors are those of `encryptFolders` and
 * `openRunnerKeys`.
 */
export async function encryptTarget(
  target: string,
  templateIds: readonly string[],
  { config, logger }: { readonly config: KeyringConfig; readonly logger: Pick<Logger, 'warn'> },
): Promise<EncryptedFolders | undefined> {
  await using opened = new AsyncDisposableStack();
  // The next start moves the control plane's folders to their places.
  const sources = await openMasterKeySources({ config, defaultFile: masterKeyFileIn(target) });
  for (const source of sources) opened.use(source);
  const keysFile = runnerKeysFileIn(target);
  const reserve = openDiskReserve(join(target, 'reserve'));
  const keyring = opened.use(await openRunnerKeys({ path: keysFile, dataDirectory: target, sources, reserve }));
  const folders = [
    ...[...runnerContentFolders(target), join(target, 'uploads'), join(target, 'functions')],
    ...[volumesDirectoryIn(target), bucketsDirectoryIn(target)],
  ];
  const templates = join(target, 'templates');
  const encrypted = await encryptFolders({ isWanted: true, folders, templates, keysFile, keyring, logger });
  if (encrypted === undefined) return undefined;
  try {
    await encryptTemplates(templates, templateIds, encrypted);
  } catch (error) {
    await encrypted.lock();
    throw error;
  }
  return encrypted;
}

async function encryptTemplates(directory: string, ids: readonly string[], encrypted: EncryptedFolders): Promise<void> {
  for (const templateId of ids) {
    const folder = join(directory, templateId);
    await mkdir(folder, { mode: 0o700 });
    encrypted.encrypt(folder);
  }
}
