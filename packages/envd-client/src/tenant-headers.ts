import { headers } from '@soulbox/contract';

/** The headers that envd requires for a call in the tenant's name. Without a user, envd uses its default user. */
export function tenantHeaders(accessToken: string, user?: string): Record<string, string> {
  return {
    ...(accessToken === '' ? {} : { [headers.accessToken]: accessToken }),
    ...(user === undefined ? {} : { authorization: `Basic ${Buffer.from(`${user}:`).toString('base64')}` }),
  };
}
