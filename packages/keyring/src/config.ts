import { isAbsolute } from 'node:path';
import { z } from 'zod';
import { key } from '@soulbox/base/config';
import type { ConfigOf } from '@soulbox/base';

const path = z.string().refine((text) => text === '' || isAbsolute(text), 'must be an absolute path');

/** Settings of the master key; docs/config.md is generated from this table. */
export const keyringConfigSchema = {
  masterKey: key(
    'SOULBOX_MASTER_KEY',
    z.enum(['file', 'pkcs11']),
    'file',
    'Where a new master key is created: in a file, or in a PKCS #11 module (a hardware security module). Existing records keep their key until `soulbox key rotate-master`.',
  ),
  masterKeyFile: key(
    'SOULBOX_MASTER_KEY_FILE',
    path,
    '',
    'File of the master key (mode 0600), created with `soulbox key create-master`. Empty: `control/secrets/master-key` in the data folder, which the first start creates.',
  ),
  pkcs11Module: key('SOULBOX_PKCS11_MODULE', path, '', 'Library of the PKCS #11 module.'),
  pkcs11Token: key('SOULBOX_PKCS11_TOKEN', z.string().max(32), '', 'Label of the token that has the master key.'),
  pkcs11PinFile: key('SOULBOX_PKCS11_PIN_FILE', path, '', "File that contains the PIN of the token's user."),
} as const;

export type KeyringConfig = ConfigOf<typeof keyringConfigSchema>;

/** Contradictions between these settings. */
export function findKeyringFaults(config: KeyringConfig): string[] {
  const parts = [config.pkcs11Module, config.pkcs11Token, config.pkcs11PinFile];
  const given = parts.filter((text) => text !== '').length;
  if (given > 0 && given < parts.length)
    return ['SOULBOX_PKCS11_MODULE, SOULBOX_PKCS11_TOKEN, SOULBOX_PKCS11_PIN_FILE: only useful together'];
  return config.masterKey === 'pkcs11' && given === 0
    ? ['SOULBOX_MASTER_KEY: pkcs11 needs SOULBOX_PKCS11_MODULE, SOULBOX_PKCS11_TOKEN and SOULBOX_PKCS11_PIN_FILE']
    : [];
}
