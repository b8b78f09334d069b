import { createHmac } from 'node:crypto';
import { constantTimeEqual, randomId, SoulBoxError } from '@soulbox/base';
import type { Secret } from '@soulbox/base';
import type { WrongKeyBudget } from '../keys/wrong-key-budget.ts';
import { getSigner } from './signer.ts';
import type { Signer, SignerIds, SignerParts } from './signer.ts';
import { teamKey } from './team-keys.ts';

/** Secret scanners recognize it. */
export const volumeTokenPrefix = 'sbv_';

/** What a valid token says. */
export interface VolumeTokenHolder extends Signer {
  readonly volumeId: string;
  readonly ids: SignerIds;
}

/**
 * Tokens for the contents of one volume, which E2B's clients get with it. A token is signed like a URL (decision 038): by
 * a key of the team, and through an API key, a session or a personal token, with which it ends.
 */
export interface VolumeTokens {
  sign(by: { readonly teamId: string; readonly signerId: string }, volumeId: string): Promise<string>;
  /** Throws `unauthorized`, and `limit_exceeded` after too many wrong tokens. */
  verify(token: string): Promise<VolumeTokenHolder>;
}

/** Ids and the end in seconds contain no dot. */
const form = /^sbv_([a-z0-9]{1,64})\.([a-z0-9]{1,64})\.([\w-]{1,64})\.(\d{1,12})\.([\w-]{43})$/;

export function createVolumeTokens(
  parts: SignerParts & {
    readonly config: { readonly signedUrlMaxSeconds: number };
    readonly wrongKeys: WrongKeyBudget;
    readonly root: Secret;
  },
): VolumeTokens {
  const { config, records, clock, wrongKeys, root } = parts;
  const signatureOf = (key: { readonly teamId: string; readonly id: string }, fields: readonly string[]): string =>
    createHmac('sha256', teamKey(root, key))
      .update(JSON.stringify(['soulbox volume token', ...fields]))
      .digest('base64url');
  return {
    async sign({ teamId, signerId }, volumeId) {
      const now = clock.now();
      const key = await records.signingKeys.ensureActive({ id: `s${randomId(12)}`, teamId, createdAt: now });
      const expiresAt = Math.floor(now / 1000) + config.signedUrlMaxSeconds;
      const fields = [volumeId, key.id, signerId, String(expiresAt)];
      return `${volumeTokenPrefix}${[...fields, signatureOf(key, fields)].join('.')}`;
    },
    async verify(token) {
      const [, volumeId = '', keyId = '', signerId = '', expiresAt = '', signature = ''] = form.exec(token) ?? [];
      const key = keyId === '' ? undefined : await records.signingKeys.find(keyId);
      if (key === undefined || !constantTimeEqual(signature, signatureOf(key, [volumeId, keyId, signerId, expiresAt])))
        throw wrongKeys.spend()
          ? new SoulBoxError('unauthorized', 'Unauthorized, the token of the volume is not valid.')
          : new SoulBoxError('limit_exceeded', 'Too many wrong tokens. Retry later.', { retryAfterSeconds: 1 });
      if (clock.now() >= Number(expiresAt) * 1000)
        throw new SoulBoxError(
          'unauthorized',
          'Unauthorized, the token of the volume has expired. Connect to the volume again.',
        );
      const ids = { keyId, signerId };
      return { ...(await getSigner(key, ids, parts)), volumeId, ids };
    },
  };
}
