import { createHash } from 'node:crypto';

/**
 * Finds the sandbox that has an access token. It is looked up by the token's digest: the cost does not depend on the
 * number of sandboxes, and the time reveals nothing about a token.
 */
export interface TokenIndex {
  /** Replaces the sandbox's previous token. An empty text means no token. */
  put(sandboxId: string, token: string): void;
  remove(sandboxId: string): void;
  find(token: string): string | undefined;
}

export function createTokenIndex(): TokenIndex {
  const sandboxes = new Map<string, string>();
  const digests = new Map<string, string>();
  const remove = (sandboxId: string): void => {
    const digest = digests.get(sandboxId);
    if (digest === undefined) return;
    digests.delete(sandboxId);
    if (sandboxes.get(digest) === sandboxId) sandboxes.delete(digest);
  };
  return {
    put(sandboxId, token) {
      remove(sandboxId);
      if (token === '') return;
      const digest = digestOf(token);
      digests.set(sandboxId, digest);
      sandboxes.set(digest, sandboxId);
    },
    remove,
    find: (token) => (token === '' ? undefined : sandboxes.get(digestOf(token))),
  };
}

const digestOf = (token: string): string => createHash('sha256').update(token).digest('base64');
