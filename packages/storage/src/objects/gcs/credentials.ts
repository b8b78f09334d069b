import { SoulBoxError } from '@soulbox/base';
import type { CredentialsSource } from '../credentials-file.ts';

/** The key of a service account, as far as it is used. */
export interface ServiceAccount {
  readonly email: string;
  readonly key: string;
  readonly keyId: string;
}

export async function readServiceAccount({ name, read }: CredentialsSource): Promise<ServiceAccount> {
  const { type, client_email: email, private_key: key, private_key_id: keyId } = await read();
  if (type === 'service_account' && typeof email === 'string' && typeof key === 'string' && typeof keyId === 'string')
    return { email, key, keyId };
  throw new SoulBoxError('config_invalid', `${name} must be the key of a service account.`);
}
