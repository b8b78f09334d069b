import { createHmac } from 'node:crypto';
import type { Secret } from '@soulbox/base';
import type { SigningKeyRecord } from '@soulbox/storage';

/** Keys of a team that have not ended. A rotation adds one. */
export const signingKeysMax = 10;

/**
 * The 32 bytes of a key: HMAC-SHA256 of its team and its id under the secret of the server. So the records contain no
 * key, and each rotation makes a key that is independent of the earlier ones.
 */
export function teamKey(root: Secret, { teamId, id }: Pick<SigningKeyRecord, 'teamId' | 'id'>): Uint8Array {
  return createHmac('sha256', root.reveal())
    .update(JSON.stringify(['soulbox signing key', teamId, id]))
    .digest();
}
