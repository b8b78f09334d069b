import { callApi, callUnlessGone, segment } from '../api.ts';
import type { Schemas } from '../api.ts';
import { connectionFrom } from '../config.ts';
import type { Connection, ConnectionOptions } from '../config.ts';
import { createPaginator } from '../pages.ts';
import type { PageOptions, Paginator } from '../pages.ts';

/** A secret without its value, as the REST API describes it. `currentVersion` counts the values from 1 on. */
export type SecretInfo = Schemas['Secret'];

/** A new secret. */
export interface NewSecret {
  /** The name, unique in the team and stored in lower case: at most 128 letters, digits, `_` and `-`. */
  readonly name: string;
  /** The value, at most 64 KiB. It is encrypted at rest. */
  readonly value: string;
  /**
   * The hosts to which rules of a sandbox may send it: up to 50 names or `*.domain`. Default: none are named, so it may
   * go to the host of any rule, unless the server requires hosts.
   */
  readonly hosts?: readonly string[] | undefined;
  /** Pairs that lists show, at most 32. They are not encrypted. Default: none. */
  readonly metadata?: Readonly<Record<string, string>> | undefined;
}

const path = (idOrName: string): string => `/secrets/${segment(idOrName)}`;

/**
 * Secrets of the team, those of the class `Secret` of e2b 2.51.0. Their values are never returned: rules of a sandbox's
 * network put them into requests in place of `${e2b.secrets.NAME}`. docs/secrets.md describes them.
 */
export const secrets = {
  /** Stores a secret. Errors: `name_taken`, `bad_request`, `limit_exceeded` (1000 secrets). */
  async create(secret: NewSecret, options?: ConnectionOptions): Promise<SecretInfo> {
    const call = { method: 'POST', path: '/secrets', body: secret } as const;
    return (await callApi<SecretInfo>(connectionFrom(options), call)).body;
  },

  /** Stores a new value as the next version. Hosts and metadata stay. Throws `secret_not_found`. */
  async update(idOrName: string, value: string, options?: ConnectionOptions): Promise<SecretInfo> {
    const call = { method: 'POST', path: path(idOrName), body: { value } } as const;
    return (await callApi<SecretInfo>(connectionFrom(options), call)).body;
  },

  /**
   * Replaces the hosts to which rules may send it, for the next connection on. Needs a key with the scope `admin`.
   * Errors: `secret_not_found`, `scope_missing`.
   */
  async setHosts(idOrName: string, hosts: readonly string[], options?: ConnectionOptions): Promise<SecretInfo> {
    const call = { method: 'PATCH', path: path(idOrName), body: { hosts } } as const;
    return (await callApi<SecretInfo>(connectionFrom(options), call)).body;
  },

  /** Lists the secrets of the team, newest first, page by page as in e2b 2.51.0 or with `for await`. */
  list(options: PageOptions & ConnectionOptions = {}): Paginator<SecretInfo> {
    const { limit, nextToken, ...connection } = options;
    const connect = (): Connection => connectionFrom(connection);
    return createPaginator(connect, { path: '/secrets' }, { limit, nextToken }, (entry: SecretInfo) => entry);
  },

  /** Removes a secret with all its versions. False if it does not exist. */
  async delete(idOrName: string, options?: ConnectionOptions): Promise<boolean> {
    return await callUnlessGone(connectionFrom(options), { method: 'DELETE', path: path(idOrName) });
  },
};
