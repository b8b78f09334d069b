import type { Secret } from '@soulbox/base';
import { callApi } from '../../api/call.ts';
import type { components } from '@soulbox/contract/rest';

export type PersonSession = components['schemas']['PersonSession'];

/** Asks the server who the holder of a token is. Throws ApiError. */
export async function showPerson(url: string, token: Secret): Promise<PersonSession> {
  const api = { url, key: token, sandboxUrl: () => url };
  return (await callApi<PersonSession>(api, { path: '/auth/session' })).body;
}
