import { readFile } from 'node:fs/promises';
import { errorFromNode, Secret } from '@soulbox/base';
import type { KeyringConfig } from './config.ts';
import { fileMasterKeys } from './file/file-master-keys.ts';
import type { MasterKeySource } from './master-key.ts';
import { loadPkcs11Module } from './pkcs11/module.ts';
import { pkcs11MasterKeys } from './pkcs11/pkcs11-master-keys.ts';

export type MasterKeySources = readonly [MasterKeySource, ...MasterKeySource[]];

export interface SourceOptions {
  readonly config: KeyringConfig;
  /** The file if the configuration names none. */
  readonly defaultFile: string;
  /** The name of that file in messages, if a process sees it at another path. */
  readonly defaultFileShown?: string;
}

/**
 * The sources of master keys; that for new keys is the first. Reads the PIN and loads the module, both of which may need
 * privileges. Keys are read later. Throws `config_invalid`, and errors of the file with the PIN.
 */
export async function openMasterKeySources(options: SourceOptions): Promise<MasterKeySources> {
  const { config, defaultFile, defaultFileShown = defaultFile } = options;
  const file =
    config.masterKeyFile === ''
      ? fileMasterKeys(defaultFile, { shownAs: defaultFileShown })
      : fileMasterKeys(config.masterKeyFile, { isOfOperator: true });
  if (config.pkcs11Module === '') return [file];
  const pin = new Secret((await readPin(config.pkcs11PinFile)).replace(/\r?\n$/, ''));
  const token = pkcs11MasterKeys(loadPkcs11Module(config.pkcs11Module), { token: config.pkcs11Token, pin });
  return config.masterKey === 'pkcs11' ? [token, file] : [file, token];
}

async function readPin(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw errorFromNode(error, `SOULBOX_PKCS11_PIN_FILE: ${path} cannot be read.`);
  }
}
