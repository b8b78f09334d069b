import { chmod, lchown, lstat, mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { SoulBoxError } from '@soulbox/base';
import { parseStorageUrl } from '@soulbox/storage/objects';
import { keyOfRole, readStorageKey } from '@soulbox/vault';
import { openStoragePlace } from './place.ts';
import type { StoragePlace } from './place.ts';
import type { StorageConfig } from './config.ts';

/** What the parts of a server get of its object store. */
export interface PreparedStorage extends StoragePlace {
  readonly url: string;
  readonly credentialsFile: string;
  /** The folder of a store on local disk. */
  readonly folder: string | undefined;
  /** In hexadecimal form. */
  readonly keys: Readonly<Record<'runner' | 'control' | 'volumes' | 'owner', string>>;
}

/**
 * Reads the key, makes the place of this start in the store, and gives the user of the process that speaks to the store
 * what it must read. Throws `config_invalid`. The store itself is not asked: a server starts without it.
 */
export async function prepareStorage(
  config: StorageConfig & { readonly cacheCredentialsFile: string },
  dataDirectory: string,
  user: number,
): Promise<PreparedStorage> {
  const { url, credentialsFile, keyFile, cacheCredentialsFile } = config;
  const parsed = parseStorageUrl(url);
  const storageKey = await readStorageKey(keyFile);
  for (const file of [credentialsFile, cacheCredentialsFile]) if (file !== '') await giveFile(file, user);
  if (parsed.kind === 'file') await giveFolder(parsed.path, user);
  const hex = (role: Parameters<typeof keyOfRole>[1]): string => keyOfRole(storageKey, role).toString('hex');
  return {
    ...(await openStoragePlace(dataDirectory)),
    ...{ url, credentialsFile, folder: parsed.kind === 'file' ? parsed.path : undefined },
    keys: { runner: hex('runner'), control: hex('control'), volumes: hex('volumes'), owner: hex('owner') },
  };
}

async function giveFile(path: string, user: number): Promise<void> {
  try {
    if ((await lstat(path)).isFile()) await lchown(path, user, user);
  } catch (error) {
    throw new SoulBoxError('config_invalid', `The credentials file ${path} cannot be found.`, { cause: error });
  }
}

/** A folder is made if the one above it exists. That of root is given to the user, with everything in it. */
async function giveFolder(path: string, user: number): Promise<void> {
  try {
    await mkdir(path, { mode: 0o700 }).catch(ignorePresent);
    const { uid } = await lstat(path);
    if (uid === user) return;
    if (uid !== 0)
      throw new Error(
        `It belongs to the user ${uid}, but this server needs ${user}. Servers that share a folder need the same instance number.`,
      );
    await giveTree(path, user);
    await chmod(path, 0o700);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new SoulBoxError('config_invalid', `The folder ${path} of the store cannot be used. ${why}`, {
      cause: error,
    });
  }
}

/** The folder itself comes last, so that a start that was killed is repeated. Links are not followed. */
async function giveTree(path: string, user: number): Promise<void> {
  const found = await lstat(path);
  if (found.isDirectory()) for (const name of await readdir(path)) await giveTree(join(path, name), user);
  else if (found.nlink > 1) return;
  await lchown(path, user, user);
}

function ignorePresent(error: unknown): void {
  if ((error as { code?: unknown }).code !== 'EEXIST') throw error;
}
