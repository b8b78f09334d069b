import { callApi, callUnlessGone, segment } from '../api.ts';
import type { Schemas } from '../api.ts';
import { connectionFrom } from '../config.ts';
import type { ConnectionOptions } from '../config.ts';

/** A secret without its value, as the REST API describes it. */
export type SecretInfo = Schemas['Secret'];

/** A new secret. */
export interface NewSecret {
  readonly name: string;
  readonly value: string;
  /** The hosts that may get it. Default: none are named. */
  readonly hosts?: readonly string[] | undefined;
  readonly metadata?: Readonly<Record<string, string>> | undefined;
}

const path = (idOrName: string): string => `/secrets/${segment(idOrName)}`;

/** Secrets of the team. Their values are never returned: sandboxes send them through placeholders. */
export const secrets = {
  /** Stores a secret. Throws `secret_exists`. */
  async create(secret: NewSecret, options?: ConnectionOptions): Promise<SecretInfo> {
    const call = { method: 'POST', path: '/secrets', body: secret } as const;
    return (await callApi<SecretInfo>(connectionFrom(options), call)).body;
  },

  /** Stores a new value. Throws `secret_not_found`. */
  async update(idOrName: string, value: string, options?: ConnectionOptions): Promise<SecretInfo> {
    const call = { method: 'POST', path: path(idOrName), body: { value } } as const;
    return (await callApi<SecretInfo>(connectionFrom(options), call)).body;
  },

  /** Changes the hosts that may get it. */
  async setHosts(idOrName: string, hosts: readonly string[], options?: ConnectionOptions): Promise<SecretInfo> {
    const call = { method: 'PATCH', path: path(idOrName), body: { hosts } } as const;
    return (await callApi<SecretInfo>(connectionFrom(options), call)).body;
  },

  /** Lists the secrets of the team. */
  async list(options?: ConnectionOptions): Promise<SecretInfo[]> {
    return (await callApi<SecretInfo[]>(connectionFrom(options), { path: '/secrets' })).body;
  },

  /** Removes a secret. False if it does not exist. */
  async delete(idOrName: string, options?: ConnectionOptions): Promise<boolean> {
    return await callUnlessGone(connectionFrom(options), { method: 'DELETE', path: path(idOrName) });
  },
};
