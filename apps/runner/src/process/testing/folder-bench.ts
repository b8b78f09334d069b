import { randomBytes } from 'node:crypto';
import { mkdir, open } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '@soulbox/base';
import { fileMasterKeys } from '@soulbox/keyring';
import { addFolderKey, folderKeySize, removeFolderKey, setFolderPolicy } from '@soulbox/linux/fscrypt';
import { openDiskReserve } from '@soulbox/storage';
import { encryptFolders } from '../encrypt-folders.ts';
import type { EncryptedFolders, EncryptFoldersOptions } from '../encrypt-folders.ts';
import { openRunnerKeys } from '../open-keys.ts';

const mib = 2 ** 20;

/** Mounts a new ext4 of 64 MiB with these features, whose image is in `folder`, and returns its folder. */
export async function makeDisk(folder: string, features: string, path: string): Promise<string> {
  const image = join(folder, `${randomBytes(4).toString('hex')}.img`);
  const file = await open(image, 'wx');
  await file.truncate(64 * mib);
  await file.close();
  await run('mkfs.ext4', ['-q', '-F', '-m', '0', '-O', features, image]);
  await mkdir(path, { recursive: true });
  await run('mount', ['-t', 'ext4', '-o', 'loop', image, path]);
  return path;
}

/** As the start of a runner on the data folder `directory`. */
export async function startEncryption(
  directory: string,
  masterKey: string,
  options: Pick<EncryptFoldersOptions, 'isWanted' | 'folders' | 'lateFolders' | 'templates' | 'logger'>,
): Promise<EncryptedFolders | undefined> {
  const keysFile = join(directory, 'runner-keys.json');
  using keyring = await openRunnerKeys({
    ...{ path: keysFile, dataDirectory: directory, sources: [fileMasterKeys(masterKey)] },
    reserve: openDiskReserve(join(directory, 'reserve')),
  });
  return await encryptFolders({ ...options, keysFile, keyring });
}

/** As `fscrypt encrypt` and `fscrypt unlock`. Disposing is `fscrypt lock`. */
export async function encryptAsOperator(path: string, disk: string): Promise<AsyncDisposable> {
  const keyId = addFolderKey(path, randomBytes(folderKeySize));
  setFolderPolicy(path, keyId);
  return await Promise.resolve({
    [Symbol.asyncDispose]: async () => {
      await removeFolderKey(disk, keyId);
    },
  });
}
