import { SoulBoxError } from '@soulbox/base';
import type { CredentialsSource } from '../credentials-file.ts';

/** Either the key of the account, or a token (SAS) for the container. */
export type AzureCredentials = { readonly accountKey: string } | { readonly sasToken: string };

export async function readAzureCredentials({ name, read }: CredentialsSource): Promise<AzureCredentials> {
  const { accountKey, sasToken } = await read();
  if (typeof accountKey === 'string' && accountKey !== '' && sasToken === undefined) return { accountKey };
  if (typeof sasToken === 'string' && sasToken !== '' && accountKey === undefined)
    return { sasToken: sasToken.replace(/^\?/, '') };
  throw new SoulBoxError('config_invalid', `${name} must have "accountKey" or "sasToken".`);
}
