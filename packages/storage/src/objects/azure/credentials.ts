import { SoulBoxError } from '@soulbox/base';
import { readCredentialsFile } from '../credentials-file.ts';

/** Either the key of the account, or a token (SAS) for the container. */
export type AzureCredentials = { readonly accountKey: string } | { readonly sasToken: string };

export async function readAzureCredentials(path: string): Promise<AzureCredentials> {
  const { accountKey, sasToken } = await readCredentialsFile(path);
  if (typeof accountKey === 'string' && accountKey !== '' && sasToken === undefined) return { accountKey };
  if (typeof sasToken === 'string' && sasToken !== '' && accountKey === undefined)
    return { sasToken: sasToken.replace(/^\?/, '') };
  throw new SoulBoxError('config_invalid', `The credentials file ${path} must have "accountKey" or "sasToken".`);
}
