import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { openMasterKeySources } from '@soulbox/keyring';
import type { KeyringConfig } from '@soulbox/keyring/config';
import { encryptFolders, openRunnerKeys, runnerContentFolders } from '@soulbox/runner/process';
import { openDiskReserve } from '@soulbox/storage';
import { masterKeyFileIn, runnerKeysFileIn } from '../data-folder.ts';
import type { BackupPart } from './manifest.ts';

/** These parts have the keys, and nothing that tenants made. */
export const isKeyPart = ({ name }: BackupPart): boolean => name === 'secrets' || name === 'runner-keys';

/**
 * Creates the encrypted folders of a data folder that has its keys and nothing else yet, and those of the templates
 * among the parts. Errors are those of `encryptFolders` and `openRunnerKeys`.
 */
export async function encryptTarget(
  target: string,
  parts: readonly BackupPart[],
  config: KeyringConfig,
): Promise<void> {
  await using opened = new AsyncDisposableStack();
  // The next start moves the control plane's folders to their places.
  const sources = await openMasterKeySources({ config, defaultFile: masterKeyFileIn(target) });
  for (const source of sources) opened.use(source);
  const keysFile = runnerKeysFileIn(target);
  const reserve = openDiskReserve(join(target, 'reserve'));
  const keyring = opened.use(await openRunnerKeys({ path: keysFile, dataDirectory: target, sources, reserve }));
  const folders = [...runnerContentFolders(target), join(target, 'uploads'), join(target, 'functions')];
  const encrypted = await encryptFolders({ isWanted: true, folders, keysFile, keyring });
  for (const { name } of parts) {
    const templateId = /^templates\/([a-z0-9]+)$/.exec(name)?.[1];
    if (templateId === undefined) continue;
    const folder = join(target, 'templates', templateId);
    await mkdir(folder, { mode: 0o700 });
    encrypted?.encrypt(folder);
  }
}
