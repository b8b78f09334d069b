import { Secret, SoulBoxError } from '@soulbox/base';
import type { Reach } from '@soulbox/network/outside';
import type { RegistryCredentials } from '../build-spec.ts';
import { fetchEcrLogin } from './ecr-login.ts';

/**
 * The text of a containers-auth.json(5) file for one registry. Without credentials the file has no login, so that
 * builds never use the login of the host's administrator. Throws `image_unavailable`.
 */
export async function registryLogin(
  host: string,
  credentials: RegistryCredentials | undefined,
  reach: Reach,
  signal: AbortSignal,
): Promise<Secret> {
  const login = credentials === undefined ? undefined : await loginOf(credentials, reach, signal);
  const auths = login === undefined ? {} : { [host]: { auth: Buffer.from(login).toString('base64') } };
  return new Secret(JSON.stringify({ auths }));
}

/** `name:password`. */
async function loginOf(credentials: RegistryCredentials, reach: Reach, signal: AbortSignal): Promise<string> {
  switch (credentials.kind) {
    case 'basic':
      if (credentials.username.includes(':'))
        throw new SoulBoxError('image_unavailable', 'The user name for a registry must not contain a colon.');
      return `${credentials.username}:${credentials.password}`;
    case 'gcp':
      // Google's registries take the key of a service account as the password of this user.
      return `_json_key:${credentials.serviceAccountJson}`;
    case 'aws':
      return await fetchEcrLogin(credentials, reach, signal);
  }
}
