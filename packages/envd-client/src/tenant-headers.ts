import { headers } from '@soulbox/contract';

/** What envd demands of a call made in the tenant's name. No user: envd's default one. */
export function tenantHeaders(accessToken: string, user?: string): Record<string, string> {
  return {
    ...(accessToken === '' ? {} : { [headers.accessToken]: accessToken }),
    ...(user === undefined ? {} : { authorization: `Basic ${Buffer.from(`${user}:`).toString('base64')}` }),
  };
}
